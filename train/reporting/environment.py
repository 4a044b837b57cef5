"""Description of the environment of a result: machine, versions, commit."""

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = re.compile(
    r"(torch|torchvision|numpy|pillow|pillow-simd|nvidia-dali.*|nvidia-nvimgcodec.*|nvidia-nvjpeg.*|cupy-.*|numba|timm"
    r"|ffcv|opencv-.*|spdl|spdl-.*|dali-cutmix)"
)


def machine(device: str) -> dict[str, Any]:
    """Describe the CPU, the cores that this process may use, the memory, and the GPU with its driver.

    Args:
        device: the device that is used; "cpu" leaves the GPU out.
    """
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "gpu": None if device == "cpu" else torch.cuda.get_device_name(device),
        "driver": None if device == "cpu" else _driver(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, of this checkout, and of each installed package that may affect a result."""
    found = {
        name: distribution.version
        for distribution in metadata.distributions()
        if (name := re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()) and PACKAGES.fullmatch(name)
    }
    here = str(Path(__file__).parents[1])
    commit = _output("git", "-C", here, "describe", "--always", "--dirty")
    return {
        "python": platform.python_version(),
        "commit": commit or os.environ.get("COMMIT", "unknown"),
        **dict(sorted(found.items())),
    }


def _driver() -> str:
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().partition("\n")[0]
