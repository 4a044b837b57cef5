"""CutMix in NVIDIA DALI: from JPEG files to mixed, normalized batches with soft targets, in one pipeline.

    jpegs, labels   = read_folder(root)                       which bytes, which label, which shard
    images          = random_resized_crop(jpegs, size)        decode only the region, resample
    images, targets = mix(images, labels, CutMix(), ...)      flip, draw a plan, paste, soft targets
    images          = normalize(images)                       float, channels first or last
    loader          = Loader(pipeline)                        torch tensors, epochs, state

Every verb works inside a graph of your own (``@pipeline_def``); ``Loader`` takes the built graph.
"""

from dali_cutmix._dali import pipeline_options  # first: a missing DALI is reported before anything else
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
    mix,
    normalize,
    padded_crop,
    random_crop,
    random_resized_crop,
    read_files,
    read_folder,
    read_recordio,
    read_tfrecord,
    read_webdataset,
    resize_center_crop,
    stretch_random_crop,
)

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
