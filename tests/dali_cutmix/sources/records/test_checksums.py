"""Checksums of TFRecord files and of packed shards: a changed byte is named, or replaced, and costs no other sample."""

import json
import shutil
import struct
from functools import partial

import numpy as np
import pytest

import dali_cutmix as dc
from dali_cutmix.check import main as check
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.damaged_records import tfrecord
from tests.helpers.record_loaders import delivered, loader_of
from tests.helpers.records import tool, write_tfrecord

AT = 4


def flip(path, at, bit=0):
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def places(path):
    """Offset and size of each record of a TFRecord file, by the lengths in it."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        found.append((at, length + 16))
        at += length + 16
    return found


@pytest.fixture
def records(tmp_path, samples):
    """A TFRecord file by the package tfrecord, with labels from 1."""
    return write_tfrecord(tmp_path, samples, 30, index=False)[0]


@pytest.mark.parametrize("where", ["in the image", "in the label", "in the checksum of the content"])
def test_a_changed_byte_is_named_and_replaced(records, samples, where, tmp_path):
    offset, size = places(records)[AT]
    content = records.read_bytes()
    label = content.index(b"image/class/label", offset) + len("image/class/label")
    flip(
        records,
        {
            "in the image": offset + size // 2,
            "in the label": label,
            "in the checksum of the content": offset + size - 2,
        }[where],
    )
    read = partial(dc.read_tfrecord, records, first_label=1)
    with pytest.raises(dc.DecodeError, match=r"record 4 \(the checksum of its content is wrong: it is damaged\)"):
        list(loader_of(read, "val"))
    loader = loader_of(read, "val", on_error="replace", max_bad=0.1, bad_log=tmp_path / "bad.jsonl")
    labels = [label for _, batch in loader for label in batch.tolist()]
    tally.assert_none_lost([label for i, (_, label) in enumerate(samples) if i != AT], labels)
    (entry,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert (entry["kind"], entry["path"]) == ("damaged", f"{records}: record 4")
    tally.count("bad")


def test_every_bit_of_a_record_counts(records):
    """Sixty random ones, each alone: none is delivered."""
    tool("tfrecord2idx", records, records.with_suffix(".idx"))
    offset, size = places(records)[AT]
    source = dc_records(records)
    rng = np.random.default_rng(0)
    for at, bit in zip(rng.integers(size, size=60), rng.integers(8, size=60), strict=True):
        flip(records, offset + int(at), int(bit))
        with pytest.raises(ValueError, match=r"checksum of its (length|content) is wrong"):
            source.read(AT)
        flip(records, offset + int(at), int(bit))
        source.read(AT)
        tally.count("bad")


def dc_records(path):
    from dali_cutmix.sources import TFRecord

    return TFRecord([path], "image/encoded", "image/class/label", 1)


def test_a_changed_length_refuses_the_file_at_its_byte(records):
    offset, _ = places(records)[AT]
    flip(records, offset + 1)
    with pytest.raises(ValueError, match=rf"checksum of the length of record 4 is wrong \(at byte {offset}\)"):
        delivered(partial(dc.read_tfrecord, records, first_label=1))
    tally.count("bad")


def test_with_an_index_a_changed_length_is_one_bad_sample(records):
    tool("tfrecord2idx", records, records.with_suffix(".idx"))
    flip(records, places(records)[AT][0] + 1)
    with pytest.raises(dc.DecodeError, match=r"record 4 \(the checksum of its length is wrong"):
        list(loader_of(partial(dc.read_tfrecord, records, first_label=1), "val"))
    tally.count("bad")


def test_an_index_of_another_file_is_noticed(records, samples, tmp_path):
    (other,) = write_tfrecord(tmp_path / "other", samples[::-1], 30, index=True)
    shutil.copy(other.with_suffix(".idx"), records.with_suffix(".idx"))
    with pytest.raises((ValueError, dc.DecodeError), match=r"its index"):
        list(loader_of(partial(dc.read_tfrecord, records, first_label=1), "val"))
    tally.count("bad")


def test_verify_false_reads_files_without_checksums(tmp_path, samples):
    path = tmp_path / "a.tfrecord"
    tfrecord(path, samples, {})
    content = bytearray(path.read_bytes())
    for offset, size in places(path):
        content[offset + 8 : offset + 12] = content[offset + size - 4 : offset + size] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="verify=False reads files with other checksums"):
        delivered(partial(dc.read_tfrecord, path))
    assert delivered(partial(dc.read_tfrecord, path, verify=False)) == samples


# Packed shards


@pytest.fixture
def shards(photo_folder, packed, tmp_path):
    """A packed folder for a test to spoil, with the place of its image number 13 in its third shard."""
    root = shutil.copytree(packed(photo_folder), tmp_path / "packed")
    tar = root / "shard-00002.tar"
    line = tar.with_suffix(".idx").read_text().splitlines()[4].split()
    assert line[3] == "00000013.jpg"
    return tar, int(line[1]), int(line[2])


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_changed_byte_of_an_image_in_a_shard_is_named_by_training_and_by_check(shards, part, capfd):
    tar, offset, size = shards
    flip(tar, offset + int(part * size), 3)
    named = "00000013.jpg (was c/06.jpg)"
    loader = imagenet.val(tar.parent, batch_size=6, size=16, resize=16, device="cpu")
    with pytest.raises(dc.DecodeError) as caught:
        list(loader)
    assert f"cannot be decoded: {tar}: {named} (its checksum is wrong: " in str(caught.value)
    assert check([str(tar.parent)]) == 1
    assert f"{tar}: {named}: its checksum is wrong" in capfd.readouterr().out
    tally.count("bad", 2)


def test_shards_that_changed_their_names_are_noticed(shards):
    """The right images with the labels of others: no decoder would tell."""
    tar, _, _ = shards
    for ending in (".tar", ".idx"):
        one, other = tar.with_suffix(ending), (tar.parent / "shard-00001").with_suffix(ending)
        one.rename(tar.parent / "x")
        other.rename(one)
        (tar.parent / "x").rename(other)
    with pytest.raises(dc.DecodeError, match=r"its place holds '000000\d\d\.jpg': the shard or its index is damaged"):
        list(imagenet.val(tar.parent, batch_size=6, size=16, resize=16, device="cpu"))
    tally.count("bad")


def test_shards_without_checksums_are_read(shards):
    """Earlier versions wrote none."""
    tar, _, _ = shards
    expected = batches(tar.parent)
    for path in tar.parent.glob("*.tar"):
        content = bytearray(path.read_bytes())
        for at in range(0, len(content), 512):
            if content[at + 257 : at + 262] == b"ustar":
                content[at + 297 : at + 329] = bytes(32)
        path.write_bytes(content)
    assert batches(tar.parent) == expected
    flip(*shards[:2], 3)
    with pytest.raises(dc.DecodeError, match="not an image"):
        batches(tar.parent)


def batches(root):
    loader = imagenet.val(root, batch_size=6, size=16, resize=16, device="cpu")
    return [tensor.numpy().tobytes() for batch in loader for tensor in batch]
