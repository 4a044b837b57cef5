"""Readers of record files, and the samples that they deliver."""

from functools import partial

from nvidia.dali import pipeline_def

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers.records import by_dali, write_recordio, write_tfrecord, write_webdataset

KINDS = ["webdataset", "tfrecord", "recordio"]


def written(kind, folder, samples, index=True):
    """The data set's verb with its paths, in files of nine or ten samples."""
    match kind:
        case "webdataset":
            write_webdataset(folder, samples, 9, index)
            return partial(dc.read_webdataset, str(folder / "train-*.tar"))
        case "tfrecord":
            return partial(dc.read_tfrecord, write_tfrecord(folder, samples, 10, index), first_label=1)
        case "recordio":
            return partial(dc.read_recordio, write_recordio(folder, samples, index))


def delivered(read, **options):
    """One epoch in order: encoded bytes and labels."""

    @pipeline_def(batch_size=5, num_threads=1, device_id=None)
    def graph():
        return read(shuffle=False, **options)

    pipeline = graph()
    pipeline.build()
    count = pipeline.reader_meta()["reader"]["epoch_size"]
    found = []
    while len(found) < count:
        found += by_dali(pipeline)
    return found[:count]


def loader_of(read, kind="train", **options):
    """A loader of small images over a reader of records."""
    options = {"batch_size": 7, "size": 16, "device": "cpu", "num_classes": 4} | options
    return imagenet.val(read, resize=16, **options) if kind == "val" else imagenet.train(read, **options)
