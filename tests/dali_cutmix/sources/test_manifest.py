"""Manifest of a packed folder: it is read or refused by name, and nothing outside of the folder is opened."""

import json

import numpy as np
import pytest

from dali_cutmix.sources import PackedFolder
from dali_cutmix.sources.manifest import MANIFEST, Manifest
from tests.helpers import tally

GOOD = {
    "version": 1,
    "short_side": 400,
    "quality": 90,
    "samples_per_shard": 2,
    "digest": "0123456789abcdef" * 4,
    "shards": {"shard-00000.tar": 2, "shard-00001.tar": 1},
    "classes": {"a": ["1.jpg", "x/2.jpg"], "b": ["../other/3.jpg"]},
}


def read(folder, content):
    path = folder / MANIFEST
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return Manifest.read(path)


def test_a_good_one_is_read_and_written_again_as_it_was(tmp_path):
    manifest = read(tmp_path, GOOD)
    assert json.loads(manifest.to_json()) == GOOD
    assert manifest.files == ["a/1.jpg", "a/x/2.jpg", "other/3.jpg"]
    assert manifest.labels == [0, 0, 1]


WRONG = {
    "short_side": [0, -1, "400", None, 1.5, True, [], {}],
    "quality": [0, "90", None],
    "samples_per_shard": [0, -2, 2.0, None],
    "digest": ["", "0" * 63, "g" * 64, 5, None, ["0" * 64]],
    "version": ["1", True, 1.0, None, [], {}, -1, 2, 10**30],
    "shards": [
        *(
            {name: 3}
            for name in ("../shard.tar", "/etc/shard.tar", "x/shard.tar", "..", ".", "", ".tar", "a\0.tar", "a.tar\n")
        ),
        *({name: 3} for name in ("shard-00000", "shard-٣.tar", "\ud800.tar", ".hidden.tar")),
        *({"a.tar": count} for count in (0, -1, "3", 1.0, None, True, [3], {})),
        ["a.tar"],
        "a.tar",
        7,
    ],
    "classes": [
        *({"a": files} for files in ("1.jpg", None, 3, {"1.jpg": 1}, [1], [None], [["1.jpg"]], [{}], [""], ["x\0y"])),
        *(
            {"a": [file]}
            for file in ("/etc/passwd", "../../etc/passwd", "x/../../../etc/passwd", "..", "../..", "\ud800")
        ),
        *({name: ["1.jpg"]} for name in ("..", "../..", "/etc", "", "a\0b")),
        {"a": ["1.jpg", "/etc/passwd"]},
        [["1.jpg"]],
        "a",
    ],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
    ids=[f"{field}-{number}" for field, values in WRONG.items() for number in range(len(values))],
)
def test_a_field_that_cannot_be_is_refused_with_the_files_name(tmp_path, field, value):
    with pytest.raises(ValueError, match=rf"^{tmp_path}/{MANIFEST}: (not a manifest|version -?\d+ given)"):
        read(tmp_path, GOOD | {field: value})
    tally.count("bad")


@pytest.mark.parametrize("field", GOOD)
def test_a_field_that_is_missing_is_refused(tmp_path, field):
    with pytest.raises(ValueError, match=rf"{MANIFEST}: not a manifest .*{field}"):
        read(tmp_path, {name: value for name, value in GOOD.items() if name != field})


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(GOOD).replace("shard-00001.tar", "shard-00000.tar").encode(),
        json.dumps(GOOD).replace('"b":', '"a":').encode(),
        json.dumps(GOOD).replace('"quality"', '"short_side"').encode(),
    ],
    ids=["shard", "class", "field"],
)
def test_a_name_that_is_there_twice_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="is there twice"):
        read(tmp_path, content)
    tally.count("bad")


@pytest.mark.parametrize(
    "content", [b"[" * 10**5, b'{"a":' * 10**5, b"1", b"null", b'{"version": ' + b"9" * 5000 + b"}"], ids=range(5)
)
def test_json_that_is_hostile_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match=rf"{MANIFEST}: not a manifest"):
        read(tmp_path, content)
    tally.count("bad")


def test_what_is_no_regular_file_or_too_large_is_not_read(tmp_path):
    with (tmp_path / MANIFEST).open("wb") as file:
        file.truncate(200 * 2**30)
    with pytest.raises(OSError, match="214748364800 bytes, more than max_bytes"):
        Manifest.read(tmp_path / MANIFEST)
    tally.count("bad")


def test_mutations_are_read_or_refused_with_the_files_name(tmp_path):
    """Bytes, digits and whole values changed at random; what is read leads nowhere else."""
    rng = np.random.default_rng(0)
    whole, odd = json.dumps(GOOD).encode(), [None, -1, "..", "/", [], {}, 10**40, True, 1.5, "\0", [[]], {"a": {}}]
    refused = 0
    for number in range(600):
        if number % 2:
            content = bytearray(whole)
            for at in rng.integers(len(content), size=rng.integers(1, 4)):
                content[at] = rng.choice([*b'0123456789"{}[],:./\\\0', rng.integers(256)])
        else:
            tree = json.loads(whole)
            branch = tree[rng.choice(["shards", "classes"])] if rng.integers(2) else tree
            branch[rng.choice([*branch, "../x", "/x"])] = odd[rng.integers(len(odd))]
            content = json.dumps(tree).encode()
        (tmp_path / MANIFEST).write_bytes(bytes(content))
        manifest, error = outcome(tmp_path / MANIFEST)
        refused += manifest is None
        assert manifest or error.startswith(f"{tmp_path / MANIFEST}: ")
        if manifest:
            assert all("/" not in name for name in manifest.shards)
            assert not any(file.startswith(("/", "../")) for file in manifest.files)
            with pytest.raises(ValueError, match=str(tmp_path)):
                PackedFolder(tmp_path)  # its shards are missing
        tally.count("bad")
    assert 300 < refused < 600


def outcome(path):
    """The manifest, or None and why it is refused."""
    try:
        return Manifest.read(path), ""
    except ValueError as error:
        return None, str(error)
