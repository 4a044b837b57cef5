"""What touches DALI's inside: its import, private names of its pipelines, its checkpoints, its nvJPEG."""

from dali_cutmix._dali import requirement  # first: a missing DALI is reported before anything else needs it

# isort: split
from dali_cutmix._dali import pipeline_template
from dali_cutmix._dali.libnvjpeg import Nvjpeg, library, library_path, load
from dali_cutmix._dali.pipeline_checkpoint import localized, portable
from dali_cutmix._dali.pipeline_options import pipeline_options

__all__ = [
    "Nvjpeg",
    "library",
    "library_path",
    "load",
    "localized",
    "pipeline_options",
    "pipeline_template",
    "portable",
    "requirement",
]
