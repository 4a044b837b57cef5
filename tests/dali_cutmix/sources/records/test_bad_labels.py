"""Labels that are none: the sample is named, or replaced, as one whose image is damaged; no other is lost."""

import json
import struct

import pytest

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.damaged_records import field, int64s, recordio, tfrecord, varint, webdataset
from tests.helpers.edited_states import as_version_2
from tests.helpers.record_loaders import loader_of

AT = 5


def image_header(label, several=0):
    return struct.pack("<IfQQ", several, label, AT, 0)


def unpacked(*values):
    return field(3, b"".join(varint(1 << 3) + varint(value) for value in values))


def floats(*values):
    return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))


RECORDIO = {
    "NaN": (image_header(float("nan")) + b"x", "its label is nan; it must be a whole number"),
    "infinite": (image_header(float("inf")) + b"x", "its label is inf; it must be a whole number"),
    "negative": (image_header(-3) + b"x", "its label is -3; labels are 0 to 3"),
    "beyond the classes": (image_header(4) + b"x", r"its label is 4; labels are 0 to 3 \(num_classes=4\)"),
    "beyond 64 bits": (image_header(1e30) + b"x", r"its label is \d+; labels are 0 to 3"),
    "cut off": (image_header(0, several=9) + bytes(8), "its header says 9 labels, but only 8 bytes follow"),
    "four billion": (image_header(0, several=2**32 - 1) + bytes(8), "its header says 4294967295 labels"),
    "no header": (b"", "it is shorter than the header of an image"),
}
TFRECORD = {
    "negative": (int64s(-3), "its label is -3, below first_label=0"),
    "negative, not packed": (unpacked(-3), "its label is -3, below first_label=0"),
    "2**63 - 1": (int64s(2**63 - 1), "its label is 9223372036854775807; labels are 0 to 3"),
    "2**63": (int64s(2**63), "its label is -9223372036854775808, below"),
    "beyond the classes": (int64s(4), r"its label is 4; labels are 0 to 3 \(num_classes=4\)"),
    "empty and packed": (int64s(), "its feature 'image/class/label' has no value; one is expected"),
    "empty": (b"", "its feature 'image/class/label' has no value"),
    "several": (int64s(1, 2), "its feature 'image/class/label' has several values"),
    "several, not packed": (unpacked(1, 2), "its feature 'image/class/label' has several values"),
    "cut off": (field(3, field(1, b"\x83")), "it is not a tf.train.Example, or damaged"),
    "of eleven bytes": (field(3, field(1, b"\x80" * 10 + b"\1")), "a number of more than ten bytes"),
    "of a megabyte": (field(3, field(1, b"\x80" * 2**20)), "a number of more than ten bytes"),
    "a float": (floats(1.0), "its feature 'image/class/label' is not an int64"),
    "text": (field(1, field(1, b"1")), "its feature 'image/class/label' is not an int64"),
}
WEBDATASET = {
    "negative": ("-3", "its label is '-3'; it must be a whole number of 0 or more"),
    "beyond the classes": ("4", r"its label is 4; labels are 0 to 3 \(num_classes=4\)"),
    "2**63": (str(2**63), "its label is '9223372036854775808'; it must be"),
    "empty": ("", "its label is ''; it must be"),
}
ALL = [
    (kind, what, *case)
    for kind, cases in (("recordio", RECORDIO), ("tfrecord", TFRECORD), ("webdataset", WEBDATASET))
    for what, case in cases.items()
]
each = pytest.mark.parametrize(
    ("kind", "content", "told"), [(k, c, t) for k, _, c, t in ALL], ids=[f"{k}: {w}" for k, w, *_ in ALL]
)


def written(kind, folder, samples, bad):
    folder.mkdir(exist_ok=True)
    match kind:
        case "recordio":
            return recordio(folder / "a.rec", samples, bad)
        case "tfrecord":
            return tfrecord(folder / "a.tfrecord", samples, bad)
    return webdataset(folder, samples, bad)


@each
def test_it_is_named_and_nothing_is_lost_when_it_is_mended(kind, content, told, tmp_path, samples):
    """The state is that of before the bad batch; the loader goes on there once the file is good again."""
    read = written(kind, tmp_path / "data", samples, {AT: content})
    loader = loader_of(read, "val", batch_size=4, prefetch=1, after_break="continue")
    batches = iter(loader)
    seen = next(batches)[1].tolist()
    before = loader.state_dict()
    passes = {"pass_number": 1, "pass_step": 0, "digest": ""}  # an error ends a pass
    for _ in range(2):
        with pytest.raises(dc.DecodeError, match=told):
            next(iter(loader))
        assert loader.state_dict() | passes == before | passes
    good = written(kind, tmp_path / "good", samples, {})
    resumed = loader_of(good, "val", batch_size=4)
    resumed.load_state_dict(as_version_2(before, binding=resumed.state_dict()["binding"]))
    seen += [label for _, labels in resumed for label in labels.tolist()]
    tally.assert_none_lost([label for _, label in samples], seen)
    tally.count("bad")


@each
def test_it_is_replaced_and_logged_as_damaged(kind, content, told, tmp_path, samples):
    read = written(kind, tmp_path / "data", samples, {AT: content})
    log = tmp_path / "bad.jsonl"
    loader = loader_of(read, "val", on_error="replace", max_bad=0.1, bad_log=log)
    labels = [label for _, batch in loader for label in batch.tolist()]
    assert len(labels) == len(samples)
    tally.assert_none_lost([label for i, (_, label) in enumerate(samples) if i != AT], labels)
    (entry,) = map(json.loads, log.read_text().splitlines())
    assert entry["kind"] == "damaged"
    tally.count("bad")


@pytest.mark.parametrize("kind", ["recordio", "tfrecord", "webdataset"])
@pytest.mark.parametrize("given", [True, False], ids=["with num_classes", "without"])
def test_training_replaces_it_too(kind, given, tmp_path, samples, fused):
    """Where the verb is not told the number of classes, a label below 0 is still none."""
    bad = {"recordio": image_header(-1) + b"x", "tfrecord": int64s(-1), "webdataset": "-1"}[kind]
    read = written(kind, tmp_path / "data", samples, {AT: bad})
    if not given:
        inner, read = read, lambda **options: inner(**{k: v for k, v in options.items() if k != "num_classes"})
    options = {"on_error": "replace", "max_bad": 0.1, "bad_log": tmp_path / "bad.jsonl", "fused": fused}
    loader = loader_of(read, "train", batch_size=8, **options)
    for _ in range(2):
        assert [len(targets) for _, targets in loader] == [8, 8, 8]
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
    tally.count("bad")
