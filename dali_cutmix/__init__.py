"""CutMix in NVIDIA DALI: from JPEG files to mixed, normalized batches with soft targets, in one pipeline.

    jpegs, labels   = read_folder(root)                       which bytes, which label, which shard
    images          = random_resized_crop(jpegs, size)        decode only the region, resample
    images, targets = mix(images, labels, CutMix(), ...)      flip, draw a plan, paste, soft targets
    images          = normalize(images)                       float, channels first or last
    loader          = Loader(pipeline)                        torch tensors, epochs, state

Every verb works inside a graph of your own (``@pipeline_def``); ``Loader`` takes the built graph.
"""

from dali_cutmix._dali import pipeline_options  # first: a missing DALI is reported before anything else

# isort: split
from dali_cutmix import detection
from dali_cutmix._version import __version__
from dali_cutmix.bad_samples import DecodeError
from dali_cutmix.fused import FusedMix, Resample, can_fuse
from dali_cutmix.loader import AllRanks, Loader
from dali_cutmix.losses import pair_cross_entropy, soft_cross_entropy
from dali_cutmix.mixing import CutMix, Cutout, Mixup, OneOf, Policy, Targets
from dali_cutmix.ops import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    MAX_PIXELS,
    Decode,
    bind_state,
    mix,
    normalize,
    padded_crop,
    random_crop,
    random_resized_crop,
    read_cifar,
    read_files,
    read_folder,
    read_recordio,
    read_tfrecord,
    read_webdataset,
    resize_center_crop,
    stretch_random_crop,
)
from dali_cutmix.options import CommonOptions, OptionGroups, split_options

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "AllRanks",
    "CommonOptions",
    "CutMix",
    "Cutout",
    "Decode",
    "DecodeError",
    "FusedMix",
    "Loader",
    "Mixup",
    "OneOf",
    "OptionGroups",
    "Policy",
    "Resample",
    "Targets",
    "__version__",
    "bind_state",
    "can_fuse",
    "detection",
    "mix",
    "normalize",
    "padded_crop",
    "pair_cross_entropy",
    "pipeline_options",
    "random_crop",
    "random_resized_crop",
    "read_cifar",
    "read_files",
    "read_folder",
    "read_recordio",
    "read_tfrecord",
    "read_webdataset",
    "resize_center_crop",
    "soft_cross_entropy",
    "split_options",
    "stretch_random_crop",
]
