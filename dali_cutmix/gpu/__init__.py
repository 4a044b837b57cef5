"""What a GPU needs beside DALI.

- ``device``: the current device; ``transfer``: uploads that do not wait
- ``keep_alive``: keep memory until a GPU has read it
- ``nvjpeg_limits``: which images nvJPEG cannot decode; ``jpeg_header``: what they are; ``decode_warning``: warn of them
"""

from dali_cutmix.gpu import nvjpeg_limits
from dali_cutmix.gpu.decode_warning import warn_of_cpu_decoding
from dali_cutmix.gpu.device import on_device
from dali_cutmix.gpu.keep_alive import KeepAlive, record
from dali_cutmix.gpu.transfer import gpu_of, upload

__all__ = ["KeepAlive", "gpu_of", "nvjpeg_limits", "on_device", "record", "upload", "warn_of_cpu_decoding"]
