"""The verbs of a graph, in the order of the data's way.

    read, read_records,      which bytes, which label               encoded bytes, label
    read_cifar, read_csv
    crops, placed_crops      decode, crop, resize                   H×W×3 uint8
    mixing                   flip, mix, make the targets            H×W×3 uint8, targets
    normalization            to floating point                      C×H×W or H×W×C

Each verb checks its arguments, adds nodes to the DALI graph under construction, and writes into ``graph_notes`` what
later verbs and the ``Loader`` need to know. ``decode`` has what all crops share.

For a graph with decoders of its own (see ``dali_cutmix/detection/ops.py``): ``notes``, ``source_nodes``,
``prepare_decoding`` and ``decoder_options``.
"""

from dali_cutmix.ops.bind_state import bind_state
from dali_cutmix.ops.crops import random_crop, random_resized_crop, resize_center_crop
from dali_cutmix.ops.decode import MAX_PIXELS, Decode, decoder_options, inspect_images, prepare_decoding
from dali_cutmix.ops.graph_notes import Crop, Notes, notes
from dali_cutmix.ops.mixing import FILL, Mixing, checked_mixing, mix
from dali_cutmix.ops.normalization import IMAGENET_MEAN, IMAGENET_STD, as_dtype, normalize
from dali_cutmix.ops.placed_crops import padded_crop, stretch_random_crop
from dali_cutmix.ops.read import read_files, read_folder, source_nodes
from dali_cutmix.ops.read_cifar import read_cifar
from dali_cutmix.ops.read_csv import read_csv
from dali_cutmix.ops.read_records import read_recordio, read_tfrecord, read_webdataset

__all__ = [
    "FILL",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "Crop",
    "Decode",
    "Mixing",
    "Notes",
    "as_dtype",
    "bind_state",
    "checked_mixing",
    "decoder_options",
    "inspect_images",
    "mix",
    "normalize",
    "notes",
    "padded_crop",
    "prepare_decoding",
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
    "source_nodes",
    "stretch_random_crop",
]
