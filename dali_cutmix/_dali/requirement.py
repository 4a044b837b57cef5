"""Import DALI, or say how to install it; and load the nvJPEG that DALI decodes with."""

try:
    import nvidia.dali  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("nvidia", "nvidia.dali"):  # installed, but broken
        raise
    raise ImportError(
        "dali_cutmix needs NVIDIA DALI, which is not installed. Two builds of DALI cannot be installed together, "
        "so choose one: pip install 'dali_cutmix[cuda12]' (driver for CUDA 12; also the one for machines "
        "without a GPU) or pip install 'dali_cutmix[cuda13]' (driver for CUDA 13)."
    ) from error

from dali_cutmix._dali import libnvjpeg

# Before torchvision is imported: DALI would decode with its older copy.
libnvjpeg.load()
