"""The verbs of a graph: read, decode, crop, mix, normalize."""

from dali_cutmix.ops.bind_state import bind_state
from dali_cutmix.ops.decode import (
    MAX_PIXELS,
    Decode,
    bounded,
    decoder_options,
    noted,
    random_crop,
    random_resized_crop,
    resize_center_crop,
)
from dali_cutmix.ops.graph_notes import notes
from dali_cutmix.ops.mixing import FILL, Mixing, checked_mixing, mix
from dali_cutmix.ops.normalization import IMAGENET_MEAN, IMAGENET_STD, as_dtype, normalize
from dali_cutmix.ops.padded import padded_crop
from dali_cutmix.ops.read import digest_of, listed, nodes_of, read_files, read_folder
from dali_cutmix.ops.read_cifar import read_cifar
from dali_cutmix.ops.read_records import read_recordio, read_tfrecord, read_webdataset
from dali_cutmix.ops.stretch import stretch_random_crop

__all__ = [
    "FILL",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "Decode",
    "Mixing",
    "as_dtype",
    "bind_state",
    "bounded",
    "checked_mixing",
    "decoder_options",
    "digest_of",
    "listed",
    "mix",
    "nodes_of",
    "normalize",
    "noted",
    "notes",
    "padded_crop",
    "random_crop",
    "random_resized_crop",
    "read_cifar",
    "read_files",
    "read_folder",
    "read_recordio",
    "read_tfrecord",
    "read_webdataset",
    "resize_center_crop",
    "stretch_random_crop",
]
