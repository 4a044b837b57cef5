"""Labels of webdataset: digits, names and JSON, as the package webdataset decodes them."""

import json
from functools import partial

import pytest
import webdataset
from webdataset import TarWriter

import dali_cutmix as dc
from dali_cutmix.check import main as check
from tests.helpers import tally
from tests.helpers.record_loaders import delivered, loader_of

NAMES = ["ant", "bee", "cat", "dog"]


def write(folder, samples, extension, of_label, number=0):
    """One tar; the label's file holds what a function makes of the label."""
    path = folder / f"train-{number:03d}.tar"
    with TarWriter(str(path), encoder=False) as writer:
        for i, (jpeg, label) in enumerate(samples):
            content = of_label(label)
            writer.write(
                {
                    "__key__": f"{i:05d}",
                    "jpg": jpeg,
                    extension: content.encode() if isinstance(content, str) else content,
                }
            )
    return path


KINDS = {
    "txt digits": ("txt", str, {"label": "txt"}, int),
    "txt digits and line breaks": ("txt", "{}\n".format, {"label": "txt"}, int),
    "txt names": ("txt", NAMES.__getitem__, {"label": "txt", "classes": NAMES}, NAMES.index),
    "txt names and line breaks": (
        "txt",
        lambda n: f" {NAMES[n]}\r\n",
        {"label": "txt", "classes": NAMES},
        lambda t: NAMES.index(t.strip()),
    ),
    "cls with names": ("cls", str, {"classes": NAMES}, int),
    "json": (
        "json",
        lambda n: json.dumps({"label": n, "x": 9}),
        {"label": "json", "key": "label"},
        lambda d: d["label"],
    ),
    "json, deeper": (
        "meta.json",
        lambda n: json.dumps({"label": {"a.b": n}}),
        {"label": "meta.json", "key": ["label", "a.b"]},
        lambda d: d["label"]["a.b"],
    ),
    "json, name": (
        "json",
        lambda n: json.dumps({"label": NAMES[n]}),
        {"label": "json", "key": "label", "classes": NAMES},
        lambda d: NAMES.index(d["label"]),
    ),
    "json, digits in quotes": (
        "json",
        lambda n: json.dumps({"y": str(n)}),
        {"label": "json", "key": "y"},
        lambda d: int(d["y"]),
    ),
    "json, as pandas writes it": (
        "json",
        lambda n: json.dumps({"y": float(n)}),
        {"label": "json", "key": "y"},
        lambda d: d["y"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_those_that_webdataset_decodes(tmp_path, samples, kind, index):
    extension, of_label, options, decoded = KINDS[kind]
    path = write(tmp_path, samples, extension, of_label)
    if index:
        from tests.helpers.records import tool

        tool("wds2idx", path, path.with_suffix(".idx"))
    theirs = [
        (sample["jpg"], decoded(sample[extension]))
        for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode(
            only=[extension.rpartition(".")[2], extension]
        )
    ]
    assert theirs == samples
    assert delivered(partial(dc.read_webdataset, path, **options)) == theirs


def test_names_of_classes_are_the_loaders(tmp_path, samples):
    path = write(tmp_path, samples, "txt", NAMES.__getitem__)
    loader = loader_of(partial(dc.read_webdataset, path, label="txt", classes=[*NAMES, "emu"]), num_classes=None)
    assert (loader.classes, loader.num_classes) == ((*NAMES, "emu"), 5)
    assert next(iter(loader))[1].shape == (7, 5)


def test_shards_are_named_by_braces_in_webdatasets_order(tmp_path, samples):
    for number in range(11):
        write(tmp_path, samples[2 * number :][:2], "cls", str, number)
    pattern = str(tmp_path / "train-{{010..009},{000..003}}.tar")
    theirs = [(s["jpg"], int(s["cls"])) for s in webdataset.WebDataset(pattern, shardshuffle=False)]
    assert len(theirs) == 12
    assert delivered(partial(dc.read_webdataset, pattern)) == theirs
    (tmp_path / "train-002.tar").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"read_webdataset: .*1 of the 6 files .* missing, the first is \S+/train-002"
    ):
        delivered(partial(dc.read_webdataset, pattern))


BAD = {
    "a name without classes": (
        "dog",
        {},
        r"its label is 'dog'; it must be a whole number of 0 or more. Where it is a name",
    ),
    "a negative number": ("-1", {}, r"its label is '-1'; it must be a whole number of 0 or more"),
    "nothing": (" \n", {}, r"its label is ''; it must be a whole number"),
    "an unknown name": (
        "emu",
        {"classes": NAMES},
        r"its label is 'emu'; it must be one of the 4 names in classes= \('ant'",
    ),
    "a number without a name": ("4", {"classes": NAMES}, r"its label is '4'; .* or a whole number from 0 to 3"),
    "JSON without a key": ('{"label": 3}', {}, r"its label is '\{\"label\": 3\}'; .* in JSON, give its key="),
    "no JSON": ("dog", {"key": "label"}, r"its label's file is not JSON \(Expecting value.*: it begins with b'dog'"),
    "no such key": (
        '{"y": 3, "z": 4}',
        {"key": "label"},
        r"its JSON has no key 'label', only 'y', 'z'; key=\('label',\)",
    ),
    "no object": ("[3]", {"key": "label"}, r"its JSON has no key 'label', but \[3\]; key="),
    "too deep": (
        '{"a": 3}',
        {"key": ["a", "b"]},
        r"its JSON has no key 'b', but 3; key=\('a', 'b'\) leads to no label",
    ),
    "several labels": ('{"y": [0, 3]}', {"key": "y"}, r"its label is \[0, 3\]; .* read from a list, by dc\.read_files"),
    "a fraction": ('{"y": 0.5}', {"key": "y"}, r"its label is 0\.5; it must be a whole number of 0 or more"),
    "no number": ('{"y": NaN}', {"key": "y"}, r"its label is nan; it must be a whole number"),
    "a truth value": ('{"y": true}', {"key": "y"}, r"its label is True; it must be a whole number"),
    "null": ('{"y": null}', {"key": "y"}, r"its label is None; it must be a whole number"),
    "below zero": ('{"y": -2}', {"key": "y"}, r"its label is -2; it must be a whole number"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_label_that_is_none_is_named_with_its_sample(tmp_path, samples, what):
    content, options, told = BAD[what]
    path = write(tmp_path, samples[:1], "txt", lambda _: content)
    with pytest.raises(dc.DecodeError, match=rf"train-000\.tar: 00000\.jpg \(00000\.txt: {told}"):
        list(loader_of(partial(dc.read_webdataset, path, label="txt", **options), "val", batch_size=1))
    tally.count("bad")


def test_images_with_labels_of_any_kind_are_checked(tmp_path, samples, capfd):
    spoiled = [(b"this is no picture" * 9, n) if i == 5 else (jpeg, n) for i, (jpeg, n) in enumerate(samples)]
    path = write(tmp_path, spoiled, "json", lambda n: json.dumps({"y": n}))
    assert check([str(path)]) == 1
    out = capfd.readouterr().out
    assert f"{path}: 00005.jpg: not an image" in out
    assert "24 images checked, 1 of them bad" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"key": ["a", ""]}, r"key=\['a', ''\] given; allowed is the name of a key of the JSON, or several"),
        ({"key": [0]}, r"key=\[0\] given; allowed is the name of a key"),
        ({"classes": [0, 1]}, r"classes=\[0, 1\] given; it is a list of the names of all classes"),
        ({"classes": ["a", "b", "a"]}, r"classes= names 'a' twice; name each class once"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(tmp_path, samples, options, told):
    path = write(tmp_path, samples, "txt", str)
    with pytest.raises(ValueError, match=told):
        delivered(partial(dc.read_webdataset, path, label="txt", **options))


def test_a_state_belongs_to_the_key_and_to_the_names(tmp_path, samples):
    path = write(tmp_path, samples, "json", lambda n: json.dumps({"x": 3 - n, "y": n, "name": NAMES[n]}))
    read = partial(dc.read_webdataset, path, label="json")
    saved = loader_of(partial(read, key="y")).state_dict()
    loader_of(partial(read, key="y")).load_state_dict(saved)
    others = [{"key": "x"}, {"key": "name", "classes": NAMES}, {"key": "y", "classes": NAMES}]
    for options in others:
        with pytest.raises(ValueError, match=r"files: '[0-9a-f]+' saved, '[0-9a-f]+' here"):
            loader_of(partial(read, **options)).load_state_dict(saved)
