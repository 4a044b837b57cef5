"""``python -m bench.gpu.environment DEVICE``: print versions and the device, and check the imports."""

import shutil
import subprocess
import sys

from train.reporting import machine, versions


def main(device: str) -> None:
    """Print versions, the device and its driver; raise where something that every other step needs is missing."""
    import nvidia.dali
    import torch

    print(f"Python {sys.version.split()[0]}, PyTorch {torch.__version__}, DALI {nvidia.dali.__version__}")
    if device != "cpu":
        import cupy

        properties = torch.cuda.get_device_properties(device)
        print(f"CuPy {cupy.__version__}, {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=False)
    for name, version in versions().items():
        print(f"{name} {version}")
    found = machine(device)
    print(f"device: {found['gpu']}, driver {found['driver']}" if found["gpu"] else f"device: {found['cpu']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
