"""Where samples come from: folders of classes, lists, packed folders, record files; their order and shards."""

from dali_cutmix.sources.cifar_archive import is_cifar
from dali_cutmix.sources.cifar_record import convert_cifar
from dali_cutmix.sources.image_folder import EXTENSIONS, list_folders, scan_folder
from dali_cutmix.sources.manifest import (
    MANIFEST,
    UNFINISHED,
    Manifest,
    finished_manifest,
    is_packed,
    member,
    read_index,
)
from dali_cutmix.sources.packed_folder import Shards
from dali_cutmix.sources.record_files import InFiles
from dali_cutmix.sources.recordio import RecordIO, write_recordio
from dali_cutmix.sources.sample_list import Listing
from dali_cutmix.sources.source import READER, Source, names_below
from dali_cutmix.sources.tfrecord import TFRecords
from dali_cutmix.sources.webdataset import Tars

__all__ = [
    "EXTENSIONS",
    "MANIFEST",
    "READER",
    "UNFINISHED",
    "InFiles",
    "Listing",
    "Manifest",
    "RecordIO",
    "Shards",
    "Source",
    "TFRecords",
    "Tars",
    "convert_cifar",
    "finished_manifest",
    "is_cifar",
    "is_packed",
    "list_folders",
    "member",
    "names_below",
    "read_index",
    "scan_folder",
    "write_recordio",
]
