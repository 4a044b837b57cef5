"""Members of webdataset tars: two samples of one name, extensions in capitals, files of other tools, odd labels."""

import codecs
import io
import tarfile
from functools import partial

import pytest
import webdataset

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.record_loaders import delivered, loader_of
from tests.helpers.records import tool


def write(path, members, index=False):
    """A tar of named contents."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    if index:
        tool("wds2idx", path, path.with_suffix(".idx"))
    return partial(dc.read_webdataset, path)


def of_webdataset(read, extension="jpg"):
    """Images and labels that the package webdataset reads."""
    return [(s[extension], int(s["cls"])) for s in webdataset.WebDataset(str(read.args[0]), shardshuffle=False)]


def test_two_samples_of_one_name_in_a_row_are_refused_with_both_places(tmp_path, samples, index):
    """The first one was lost; the package webdataset refuses them, too."""
    members = [
        (f"a.{extension}", content) for jpeg, _ in samples[:2] for extension, content in (("jpg", jpeg), ("cls", b"1"))
    ]
    read = write(tmp_path / "a.tar", members, index)
    with pytest.raises(ValueError, match="duplicate file name"):
        of_webdataset(read)
    file = "idx" if index else "tar"
    with pytest.raises(
        ValueError, match=rf"a\.{file}: two files with one name and the extension 'jpg' .*at byte 512.* at byte \d+"
    ) as error:
        delivered(read)
    with tarfile.open(tmp_path / "a.tar") as archive:
        second = archive.getmembers()[2].offset_data
    assert f"at byte {second}" in str(error.value)
    tally.count("bad")


def test_two_samples_of_one_name_apart_are_two_samples(tmp_path, samples, index):
    members = [
        (f"{'aba'[i]}.{e}", c)
        for i, (jpeg, n) in enumerate(samples[:3])
        for e, c in (("jpg", jpeg), ("cls", b"%d" % n))
    ]
    read = write(tmp_path / "a.tar", members, index)
    assert delivered(read) == of_webdataset(read) == samples[:3]


def test_extensions_in_capitals_are_read(tmp_path, samples, index):
    members = [(f"{i}.{e}", c) for i, (jpeg, n) in enumerate(samples) for e, c in (("JPG", jpeg), ("Cls", b"%d" % n))]
    read = write(tmp_path / "a.tar", members, index)
    assert delivered(read) == of_webdataset(read) == samples
    assert delivered(read, image="JPG", label="CLS") == samples


@pytest.mark.parametrize("folder", ["", "d/"])
def test_files_of_other_tools_are_left_out(tmp_path, samples, folder, index):
    """As the package webdataset and wds2idx leave hidden files out: macOS writes one beside each file."""
    members = [(".DS_Store", b"x")]
    for i, (jpeg, n) in enumerate(samples):
        members += [
            (f"{folder}._{i}.jpg", b"Mac OS X"),
            (f"{folder}{i}.jpg", jpeg),
            (f"{folder}._{i}.cls", b"Mac OS X"),
            (f"{folder}{i}.cls", b"%d" % n),
        ]
    read = write(tmp_path / "a.tar", members, index)
    assert delivered(read) == samples
    if not folder:  # with one, the package webdataset takes them for samples of their own
        assert of_webdataset(read) == samples


def test_folders_of_metadata_are_left_out(tmp_path, samples, index):
    members = []
    for i, (jpeg, n) in enumerate(samples):
        members += [
            (f"__MACOSX/._{i}.jpg", b"x"),
            (f"d/PaxHeaders.17/{i}.jpg", b"x"),
            (f"d/{i}.jpg", jpeg),
            (f"d/{i}.cls", b"%d" % n),
        ]
    members.append(("__MACOSX/x.jpg", b"x"))
    assert delivered(write(tmp_path / "a.tar", members, index)) == samples


def test_extensions_with_spaces_do_not_confuse_what_is_remembered(tmp_path, samples):
    members = [
        (f"{i}.{e}", c) for i, (jpeg, n) in enumerate(samples) for e, c in (("b c.jpg", jpeg), ("cls", b"%d" % n))
    ]
    read = partial(write(tmp_path / "a.tar", members), image="b c.jpg")
    assert [delivered(read), delivered(read)] == [samples, samples]


ODD = ["-1", "1_0", "12345678901234567890", "9" * 5000, "", "٣", "+3", "0x3", "1e0", "3.0", "3\0", "½"]


@pytest.mark.parametrize("label", ODD, ids=ascii)
def test_odd_labels_are_refused_with_the_member(tmp_path, samples, label):
    read = write(tmp_path / "a.tar", [("d/7.jpg", samples[0][0]), ("d/7.cls", label.encode())])
    with pytest.raises(dc.DecodeError, match=r"a\.tar: d/7\.jpg \(d/7\.cls: its label"):
        list(loader_of(read, "val", batch_size=1))
    tally.count("bad")


@pytest.mark.parametrize("label", ["3", " 3\n", "003", "3\r\n", "\t3", "0" * 40 + "3"], ids=repr)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["", "BOM"])
def test_digits_with_zeros_and_spaces_around_are_a_label(tmp_path, samples, label, mark):
    read = write(tmp_path / "a.tar", [("7.jpg", samples[0][0]), ("7.cls", mark + label.encode())])
    assert delivered(read) == [(samples[0][0], 3)]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["", "BOM"])
def test_names_and_json_may_begin_with_a_byte_order_mark(tmp_path, samples, mark):
    members = [("7.jpg", samples[0][0]), ("7.json", mark + b'{"y": 3}'), ("7.txt", mark + b"dog\n")]
    read = write(tmp_path / "a.tar", members)
    assert delivered(partial(read, label="json", key="y")) == [(samples[0][0], 3)]
    assert delivered(partial(read, label="txt", classes=["cat", "dog"])) == [(samples[0][0], 1)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[" * 100_000, "is not JSON"),
        (b'{"y": ' * 100_000, "is not JSON"),
        (b'{"y": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"y": 1e999}', "its label is inf"),
        (b'{"y": 9223372036854775808}', "its label is 9223372036854775808"),
        (b'{"y": "\\ud800"}', r"its label is '\\ud800'"),
        (b'{"y": [[[[[[[[[[1]]]]]]]]]]}', r"its label is \[\["),
        (b"", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
    ],
    ids=range(9),
)
def test_hostile_json_is_a_bad_sample(tmp_path, samples, content, told):
    read = write(tmp_path / "a.tar", [("7.jpg", samples[0][0]), ("7.json", content)])
    with pytest.raises(dc.DecodeError, match=rf"\(7\.json: .*{told}"):
        list(loader_of(partial(read, label="json", key="y"), "val", batch_size=1))
    tally.count("bad")


def test_an_error_names_ten_extensions_at_most_and_escapes_them(tmp_path, samples):
    """They are names from the tar: thousands of them, or what acts on a terminal."""
    members = [(f"7.{number}\x1b[31m", b"x") for number in range(1000)]
    with pytest.raises(ValueError, match=r"lack image or label \(sample 0 has 0\\x1b\[31m, .* and 990 more;") as caught:
        delivered(write(tmp_path / "a.tar", members))
    assert len(str(caught.value)) < 800
    assert str(caught.value).isprintable()
