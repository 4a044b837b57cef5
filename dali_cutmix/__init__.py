"""CutMix in NVIDIA DALI: from JPEG files to mixed, normalized batches with soft targets, in one pipeline.

The way of the data, and the folder of each stage:

    jpegs, labels   = read_folder(root)                       sources/   which bytes, which label, which shard
    images          = random_resized_crop(jpegs, size)        ops/       decode only the region, resize
    images, targets = mix(images, labels, CutMix(), ...)      mixing/    flip, draw a plan, paste, soft targets
    images          = normalize(images)                       ops/       floating point, channels first or last
    loader          = Loader(pipeline)                        loader/    torch tensors, epochs, state

    resize, mix and normalize in one compiled pass            fused/     FusedMix and Resample
    images with objects or captions, boxes and all            detection/
    files that cannot be decoded                              bad_samples/
    what a GPU needs beside DALI                              gpu/
    DALI's internals, options of a pipeline                   _dali/
    options that all graphs of pipelines/ take                options.py
    losses for mixed targets                                  losses.py
    tools without images: checks, files, cache                utils/

    python -m dali_cutmix.check                               check/     find all bad files of a data set
    python -m dali_cutmix.pack                                pack/      write a smaller copy of a data set

Every verb (``ops/``) adds nodes to a graph of your own, a function decorated with ``@pipeline_def``; ``Loader`` takes
the pipeline that it returns. The examples in the docstrings assume

    import torch
    from nvidia.dali import pipeline_def
    import dali_cutmix as dc

and a folder ``photos`` with two classes, ``cat`` and ``dog``, of eight JPEGs each.
"""

from dali_cutmix import _commands  # noqa: F401  # first: Ctrl-C during the imports that follow

# isort: split
from dali_cutmix._dali import pipeline_options  # before the others: a missing DALI is reported before anything else

# isort: split
from dali_cutmix import detection
from dali_cutmix._version import __version__
from dali_cutmix.bad_samples import DecodeError, StorageError
from dali_cutmix.fused import FusedMix, Resample, can_fuse
from dali_cutmix.image_headers import FORMATS
from dali_cutmix.loader import AllRanks, Loader, check_ranks
from dali_cutmix.losses import (
    pair_binary_cross_entropy,
    pair_cross_entropy,
    soft_binary_cross_entropy,
    soft_cross_entropy,
)
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
    read_csv,
    read_files,
    read_folder,
    read_recordio,
    read_tfrecord,
    read_webdataset,
    resize_center_crop,
    stretch_random_crop,
)
from dali_cutmix.options import CommonOptions, OptionGroups, split_options
from dali_cutmix.utils import MAX_BYTES

__all__ = [
    "FORMATS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_BYTES",
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
    "StorageError",
    "Targets",
    "__version__",
    "bind_state",
    "can_fuse",
    "check_ranks",
    "detection",
    "mix",
    "normalize",
    "padded_crop",
    "pair_binary_cross_entropy",
    "pair_cross_entropy",
    "pipeline_options",
    "random_crop",
    "random_resized_crop",
    "read_cifar",
    "read_csv",
    "read_files",
    "read_folder",
    "read_recordio",
    "read_tfrecord",
    "read_webdataset",
    "resize_center_crop",
    "soft_binary_cross_entropy",
    "soft_cross_entropy",
    "split_options",
    "stretch_random_crop",
]
