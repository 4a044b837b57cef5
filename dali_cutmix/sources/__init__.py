"""Where samples come from, in which order they are read, and which shard of them this process reads.

    folder of classes ── list_folders ──▶ ┐
    list of files ──── list_samples ────▶ ├ SampleList ─▶ ┐
      (``csv_samples`` makes one of a CSV file)           │
                                                          ├ Source ── nodes() ──▶ encoded bytes, labels
    packed folder ─── PackedFolder ─────▶ ┐               │
    webdataset ────── WebDataset ───────▶ ├ RecordFiles ─▶┘
    TFRecord ──────── TFRecord ─────────▶ │
    RecordIO ──────── RecordIO ─────────▶ ┘

A sample has a number, its place in the list or in the record files. ``Source`` knows how many there are, reads the
bytes of any of them, and makes the nodes of a graph that read them in order. ``MultiLabels`` are the labels of a list
whose samples have several classes each.

``manifest`` describes a packed folder (see :mod:`dali_cutmix.pack`); ``write_recordio`` writes the one format that the
library also makes itself.
"""

from dali_cutmix.sources.cifar import convert_cifar, is_cifar
from dali_cutmix.sources.class_folders import EXTENSIONS
from dali_cutmix.sources.csv_files import Column, CsvSamples, csv_samples
from dali_cutmix.sources.image_folder import list_folders, scan_folder
from dali_cutmix.sources.manifest import (
    MANIFEST,
    UNFINISHED,
    Manifest,
    finished_manifest,
    is_packed,
    member,
    read_index,
)
from dali_cutmix.sources.multi_labels import MultiLabels
from dali_cutmix.sources.packed_folder import PackedFolder
from dali_cutmix.sources.record_files import RecordFiles
from dali_cutmix.sources.recordio import RecordIO, write_recordio
from dali_cutmix.sources.sample_error import SampleError
from dali_cutmix.sources.sample_list import SampleList, list_samples
from dali_cutmix.sources.shard_header import checksum_field
from dali_cutmix.sources.source import MULTI_LABELS, READER, Source, digest_of
from dali_cutmix.sources.tfrecord import TFRecord
from dali_cutmix.sources.webdataset import LabelMember, WebDataset, tar_extensions

__all__ = [
    "EXTENSIONS",
    "MANIFEST",
    "MULTI_LABELS",
    "READER",
    "UNFINISHED",
    "Column",
    "CsvSamples",
    "LabelMember",
    "Manifest",
    "MultiLabels",
    "PackedFolder",
    "RecordFiles",
    "RecordIO",
    "SampleError",
    "SampleList",
    "Source",
    "TFRecord",
    "WebDataset",
    "checksum_field",
    "convert_cifar",
    "csv_samples",
    "digest_of",
    "finished_manifest",
    "is_cifar",
    "is_packed",
    "list_folders",
    "list_samples",
    "member",
    "read_index",
    "scan_folder",
    "tar_extensions",
    "write_recordio",
]
