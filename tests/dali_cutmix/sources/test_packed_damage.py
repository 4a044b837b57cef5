"""Damage to a packed folder is named by its file before training starts, or by shard and member while it runs."""

import json
import os
import re
import shutil

import pytest

import dali_cutmix as dc
from dali_cutmix.sources import manifest
from dali_cutmix.sources.manifest import MANIFEST, UNFINISHED
from tests.helpers.loaders import label_loader
from tests.helpers.shards import loader_of, overwrite, take

MEND = r"Copy the shard and its \.idx again from where they came from, or remove both and run the command that packed"


def test_a_bad_sample_is_named_by_shard_and_member_and_no_good_one_is(copy, kind):
    tar = copy / "shard-00002.tar"
    overwrite(tar, "00000013.jpg", b"this is no picture" * 20)
    loader = loader_of(copy, kind, 8)
    with pytest.raises(dc.DecodeError) as caught:
        take(loader, 7)
    message = str(caught.value)
    named = f"{tar}: 00000013.jpg (was c/06.jpg) (its checksum is wrong: its bytes are not those that were packed)"
    assert f"cannot be decoded: {named}. Copy its shard again from where it came from; or repair that image" in message
    assert "remove the shard and its .idx, and run the command that packed it again" in message
    assert "every other file of its batch is fine. " in message
    assert "DALI says: " in message
    assert set(re.findall(r"[^\s,:]+\.jpg", message)) == {"00000013.jpg", "c/06.jpg"}


def test_two_bad_samples_of_a_batch_are_both_named(copy):
    for name in ("00000009.jpg", "00000011.jpg"):
        overwrite(copy / f"shard-0000{int(name[:8]) // 5}.tar", name, bytes(300))
    with pytest.raises(dc.DecodeError, match=r"shard-00001\.tar: 00000009\.jpg .*, .*shard-00002\.tar: 00000011\.jpg "):
        take(loader_of(copy, "val", 8), 3)


def test_a_shard_that_shrinks_while_it_is_read_is_an_error_and_no_crash(copy, kind):
    loader = loader_of(copy, kind, 4, retry=0)
    take(loader, 1)
    for tar in copy.glob("*.tar"):
        os.truncate(tar, 600)
    with pytest.raises(
        dc.StorageError, match=r": .*shard-0000\d\.tar: .*\.jpg \(was .*\) \(the file is shorter than its index says"
    ):
        take(loader, 12)


def test_a_shard_that_vanished_after_the_loader_was_built_is_named(copy):
    loader = loader_of(copy, "val", 4, prefetch=1, retry=0)
    next(iter(loader))
    (copy / "shard-00004.tar").unlink()
    with pytest.raises(dc.StorageError, match=r": .*shard-00004\.tar: 00000020\.jpg .* \(No such file"):
        take(loader, 6)


def without_index(tar):
    tar.with_suffix(".idx").unlink()


def cut_off(tar):
    os.truncate(tar, 3000)


def other_index(tar):
    shutil.copy(tar.with_name("shard-00004.idx"), tar.with_suffix(".idx"))


def empty_index(tar):
    tar.with_suffix(".idx").write_text("")


def half_an_index(tar):
    os.truncate(tar.with_suffix(".idx"), 120)


def flipped_digits(tar):
    index = tar.with_suffix(".idx")
    index.write_bytes(index.read_bytes().replace(b"jpg 512", b"jpg 5!2"))


DAMAGE = {
    "no shard": (lambda tar: tar.unlink(), r"\S+/shard-00001\.tar is missing"),
    "no index": (without_index, r"\S+/shard-00001\.idx is missing"),
    "cut off": (cut_off, r"3000 bytes long, its index needs \d+"),
    "index of another": (other_index, r"its index begins with 'v1\.2 4', the manifest has 5 samples"),
    "empty index": (empty_index, r"its index begins with '', the manifest has 5 samples"),
    "half an index": (half_an_index, r"its index is damaged \(20 words, 42 expected\)"),
    "flipped digits": (flipped_digits, r"its index is damaged \(invalid literal .*\)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_named_before_anything_is_read(copy, damage):
    spoil, message = DAMAGE[damage]
    spoil(copy / "shard-00001.tar")
    with pytest.raises(ValueError, match=rf"shard-00001\.tar: {message}\. {MEND}"):
        label_loader(copy)


def change_manifest(folder, **changes):
    content = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(content | changes))


def test_a_newer_manifest_is_refused_with_both_versions_named(copy):
    change_manifest(copy, version=manifest.VERSION + 1)
    with pytest.raises(
        ValueError, match=r"dali_cutmix\.json: version 2 given, this dali_cutmix reads version 1; insta"
    ):
        label_loader(copy)


@pytest.mark.parametrize("part", ["shards", "classes"])
@pytest.mark.parametrize("value", [{}, [], None], ids=repr)
def test_a_manifest_without_shards_or_classes_is_refused(copy, part, value):
    change_manifest(copy, **{part: value})
    with pytest.raises(ValueError, match=r"not a manifest of dali_cutmix\.pack \(no shards or no classes\)"):
        label_loader(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"version": 1}', b"\xff\xfe"], ids=repr)
def test_what_is_no_manifest_is_refused(copy, content):
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(ValueError, match=r"dali_cutmix\.json: not a manifest of dali_cutmix\.pack \(.*copy it again"):
        label_loader(copy)


def test_a_manifest_whose_lists_differ_in_length_is_refused(copy):
    change_manifest(copy, classes={"a": ["1.jpg"]})
    with pytest.raises(ValueError, match=r"it lists 1 files, but 24 samples in its shards; copy it again"):
        label_loader(copy)


def test_an_unfinished_pack_says_how_to_finish_it(copy):
    (copy / MANIFEST).rename(copy / UNFINISHED)
    (copy / "shard-00003.tar").unlink()
    command = f"python -m dali_cutmix.pack SRC {copy} --short-side 400 --quality 100 --samples-per-shard 5"
    with pytest.raises(ValueError, match=r"not packed completely, 4 of 5 shards are there\. Run the same") as caught:
        label_loader(copy)
    assert command in str(caught.value)
