"""The import of DALI: says how to fix it where it fails, and loads the nvJPEG that DALI decodes with."""

try:
    import nvidia.dali  # noqa: F401
except ImportError as error:
    raise ImportError(
        "dali_cutmix needs NVIDIA DALI, which is not installed. Two builds of DALI cannot live side by side, "
        "so choose one: pip install 'dali_cutmix[cuda12]' (driver for CUDA 12; also the one for machines "
        "without a GPU) or pip install 'dali_cutmix[cuda13]' (driver for CUDA 13)."
    ) from error

from dali_cutmix._dali import libnvjpeg

# Before torchvision is imported, whose own, older copy DALI would decode with.
libnvjpeg.load()
