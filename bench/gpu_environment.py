"""Prints what a GPU's results depend on, and that everything can be imported: ``gpu_environment.py DEVICE JSON``."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.result import new_result, write_json


def main(device: str, path: str) -> None:
    """Fails where something that every other step needs is missing."""
    import nvidia.dali
    import torch

    print(f"Python {sys.version.split()[0]}, PyTorch {torch.__version__}, DALI {nvidia.dali.__version__}")
    if device != "cpu":
        import cupy

        properties = torch.cuda.get_device_properties(device)
        print(f"CuPy {cupy.__version__}, {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=False)
    result = new_result("environment", device, {})
    for name, version in result["versions"].items():
        print(f"{name} {version}")
    write_json(Path(path), result)


if __name__ == "__main__":
    main(*sys.argv[1:])
