"""CutMix in NVIDIA DALI: from JPEG files to mixed, normalized batches with soft targets, in one pipeline.

    jpegs, labels   = read_folder(root)                       which bytes, which label, which shard
    images          = random_resized_crop(jpegs, size)        decode only the region, resample
    images, targets = mix(images, labels, CutMix(), ...)      flip, draw a plan, paste, soft targets
    images          = normalize(images)                       float, channels first or last
    loader          = Loader(pipeline)                        torch tensors, epochs, state

Every verb works inside a graph of your own (``@pipeline_def``); ``Loader`` takes the built graph.
"""

from dali_cutmix import _dali  # noqa: F401  (first: a missing DALI is reported before anything else)
from dali_cutmix._version import __version__
from dali_cutmix.all_ranks import AllRanks
from dali_cutmix.decode import MAX_PIXELS, Decode, random_crop, random_resized_crop, resize_center_crop
from dali_cutmix.diagnose import DecodeError
from dali_cutmix.fused import FusedMix, can_fuse
from dali_cutmix.loader import Loader
from dali_cutmix.losses import pair_cross_entropy, soft_cross_entropy
from dali_cutmix.mixing import mix
from dali_cutmix.normalization import IMAGENET_MEAN, IMAGENET_STD, normalize
from dali_cutmix.options import pipeline_options
from dali_cutmix.padded import padded_crop
from dali_cutmix.policies import CutMix, Cutout, Mixup, OneOf, Policy
from dali_cutmix.read import read_files, read_folder
from dali_cutmix.read_records import read_recordio, read_tfrecord, read_webdataset
from dali_cutmix.resample import Resample
from dali_cutmix.stretch import stretch_random_crop
from dali_cutmix.targets import Targets

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "AllRanks",
    "CutMix",
    "Cutout",
    "Decode",
    "DecodeError",
    "FusedMix",
    "Loader",
    "Mixup",
    "OneOf",
    "Policy",
    "Resample",
    "Targets",
    "__version__",
    "can_fuse",
    "mix",
    "normalize",
    "padded_crop",
    "pair_cross_entropy",
    "pipeline_options",
    "random_crop",
    "random_resized_crop",
    "read_files",
    "read_folder",
    "read_recordio",
    "read_tfrecord",
    "read_webdataset",
    "resize_center_crop",
    "soft_cross_entropy",
    "stretch_random_crop",
]
