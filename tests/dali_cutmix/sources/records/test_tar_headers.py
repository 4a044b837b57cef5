"""Tar files: the same members as the standard library reads; hostile headers are refused by name, without a hang."""

import io
import os
import re
import subprocess
import tarfile
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dali_cutmix as dc
from dali_cutmix.sources import tar_extensions
from dali_cutmix.sources.webdataset.tar_headers import tar_members
from dali_cutmix.utils import map_in_children
from tests.helpers import tally
from tests.helpers.record_loaders import delivered

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar_of(members, format=tarfile.USTAR_FORMAT):
    """A tar of (TarInfo, content)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def info(name, **fields):
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


SAMPLE = [(info("0.jpg"), b"x" * 700), (info("0.cls"), b"1")]

names = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60)
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE])


@given(
    st.sampled_from(["gnu", "pax"]),
    st.lists(st.tuples(paths, st.binary(max_size=1500), kinds, st.floats(0, 2**34)), min_size=1, max_size=6),
)
def test_members_are_those_of_the_standard_library(tmp_path_factory, format, members):
    """Long names in both formats, names of any alphabet, folders and links between them, sizes of any padding."""
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    made = []
    for name, content, kind, mtime in members:
        is_file = kind in tarfile.REGULAR_TYPES
        made.append((info(name, type=kind, mtime=mtime, linkname="" if is_file else name[::-1]), content * is_file))
    path.write_bytes(tar_of(made, FORMATS[format]))
    with tarfile.open(path) as archive:
        expected = [(member.name, member.offset_data, member.size) for member in archive if member.isfile()]
    assert [tuple(member) for member in tar_members(path)] == expected


@given(st.lists(st.tuples(st.text("abc./", min_size=1, max_size=90), st.binary(max_size=700)), min_size=1, max_size=6))
def test_members_of_the_oldest_format_are_those_of_the_standard_library(tmp_path_factory, members):
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    path.write_bytes(tar_of([(info(name), content) for name, content in members]))
    with tarfile.open(path) as archive:
        expected = [(member.name, member.offset_data, member.size) for member in archive if member.isfile()]
    assert [tuple(member) for member in tar_members(path)] == expected


@pytest.mark.parametrize("format", ["gnu", "posix", "ustar", "v7"])
def test_members_of_gnu_tar_are_those_of_the_standard_library(tmp_path, format):
    folder = tmp_path / "data" / ("deep" * 20)
    folder.mkdir(parents=True)
    for i in range(5):
        (folder / f"{'long' * (0 if format == 'v7' else 15)}{i}.jpg").write_bytes(bytes(300 * i))
    (folder / "link").symlink_to("0.jpg")
    os.link(sorted(folder.glob("*.jpg"))[0], folder / "hard")
    command = ["tar", f"--format={format}", "-cf", "a.tar", "data"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    with tarfile.open(tmp_path / "a.tar") as archive:
        expected = [(member.name, member.offset_data, member.size) for member in archive if member.isfile()]
    assert len(expected) >= 5
    assert [tuple(member) for member in tar_members(tmp_path / "a.tar")] == expected


def with_checksum(header):
    """A header of 512 bytes with its checksum put right."""
    header = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def with_field(tar, start, value, at=0):
    """A tar whose header at a place has other bytes."""
    header = tar[at : at + 512]
    return tar[:at] + with_checksum(header[:start] + value + header[start + len(value) :]) + tar[at + 512 :]


def with_pax(content, kind=tarfile.XHDTYPE, size=None):
    """A tar whose first member has a pax header."""
    header = info("pax", type=kind, size=len(content) if size is None else size).tobuf(tarfile.USTAR_FORMAT)
    return header + content + bytes(-len(content) % 512) + tar_of(SAMPLE)


TAR = tar_of(SAMPLE)
HOSTILE = {
    "a size that leads back, so that tarfile loops": (with_field(TAR, 124, b"-0000001000\0", 1536), "with the number"),
    "a negative size in octal digits": (with_field(TAR, 124, b"-0000001000\0"), "a header with the number"),
    "a negative size in base 256": (with_field(TAR, 124, b"\xff" * 11 + b"\0"), "a header with the number"),
    "2**60 bytes": (with_field(TAR, 124, b"\x80" + (2**60).to_bytes(11, "big")), f"with {2**60} bytes"),
    "2**87 bytes": (with_field(TAR, 124, b"\x80" + (2**87).to_bytes(11, "big")), f"with {2**87} bytes"),
    "8 GiB less one byte": (with_field(TAR, 124, b"77777777777\0"), "with 8589934591 bytes"),
    "a size that is no number": (with_field(TAR, 124, b"0o17\0"), "a header with the number"),
    "2**60 bytes in a pax header": (
        with_pax(b"30 size=1152921504606846976\n".replace(b"30", b"28")),
        f"with {2**60} b",
    ),
    "a negative size in a pax header": (with_pax(b"11 size=-5\n"), "a pax header with size="),
    "a pax header of 1 GiB": (with_pax(b"", size=2**30), "a name or pax header of 1073741824 bytes"),
    "a pax record of no length": (with_pax(b"0 path=x.jpg\n"), "a damaged pax header"),
    "a pax record beyond its header": (with_pax(b"99 path=x.jpg\n"), "a damaged pax header"),
    "one path for all": (with_pax(b"14 path=x.jpg\n", tarfile.XGLTYPE), "a pax header with one path for all"),
    "a sparse file of GNU": (with_field(TAR, 156, b"S"), r"'0\.jpg' .* sparse file"),
    "a sparse file in pax": (with_pax(b"22 GNU.sparse.major=1\n"), "a sparse file, stored in parts"),
    "the rest of another volume": (with_field(TAR, 156, b"M"), "rest of a file from another volume"),
    "a member of an unknown type": (with_field(TAR, 156, b"\xe9"), "of type .*is not known"),
    "a wrong checksum": (TAR[:124] + b"1" + TAR[125:], "the checksum of a header is wrong"),
    "a second archive": (TAR + TAR, r"a second archive begins at byte 10240, .* tar --concatenate"),
    "no end": (TAR[: 512 + 1024 + 1024], "its end is missing"),
    "nothing": (b"", "its end is missing"),
}


def read(paths):
    """How many extensions each tar has, or its error."""
    found = []
    for path in paths:
        try:
            found.append(str(len(tar_extensions(path))))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def read_in_a_process(paths, timeout=60):
    """In a process of its own, which may hang or crash."""
    (outcome,) = map_in_children(read, [paths], workers=1, timeout=timeout, ahead=1)
    assert outcome.crash is None, outcome
    return outcome.results


def test_hostile_headers_are_refused_with_the_file_and_the_reason(tmp_path):
    paths = [tmp_path / f"{number}.tar" for number in range(len(HOSTILE))]
    for path, (content, _) in zip(paths, HOSTILE.values(), strict=True):
        path.write_bytes(content)
    os.mkfifo(tmp_path / "fifo.tar")
    *results, fifo = read_in_a_process([*paths, tmp_path / "fifo.tar"])
    assert "a FIFO (named pipe), not a regular file" in fifo
    for what, path, found in zip(HOSTILE, paths, results, strict=True):
        assert found.startswith(f"ValueError: {path}: "), (what, found)
        assert re.search(HOSTILE[what][1], found), (what, found)
        tally.count("bad")


def test_hundreds_of_damaged_tars_are_an_index_or_an_error_that_names_the_file(tmp_path):
    """Bytes are changed in the headers mostly, and half of them keep a right checksum."""
    rng = np.random.default_rng(0)
    long = [(info("n" * 150 + ".jpg"), b"y" * 600), (info("n" * 150 + ".cls"), b"2")]
    tars = [tar_of(SAMPLE + long, format) for format in FORMATS.values() if format != tarfile.USTAR_FORMAT] + [TAR]
    paths = []
    for number in range(900):
        tar = bytearray(tars[number % len(tars)])
        headers = [at for at in range(0, len(tar), 512) if tar[at + 257 : at + 262] == b"ustar"]
        start = int(rng.choice(headers))
        for at in rng.choice([*range(100), *range(124, 136), *range(148, 158), *range(345, 355)], rng.integers(1, 4)):
            tar[start + at] = rng.choice([0, 0x2D, 0x30, 0x37, 0x53, 0x78, 0x80, 0xFF, rng.integers(256)])
        if number % 2:
            tar[start : start + 512] = with_checksum(bytes(tar[start : start + 512]))
        if number % 10 == 0:
            tar = tar[: rng.integers(len(tar))]
        paths.append(tmp_path / f"{number}.tar")
        paths[-1].write_bytes(tar)
    found = read_in_a_process(paths, timeout=120)
    for path, result in zip(paths, found, strict=True):
        assert result.isdigit() or result.startswith(f"ValueError: {path}: "), result
    assert 100 < sum(map(str.isdigit, found)) < 800
    tally.count("bad", len(paths))


def test_a_member_of_200_gigabytes_in_a_sparse_file_is_not_read_into_memory(tmp_path):
    header = info("0.jpg", size=200 * 2**30).tobuf(tarfile.GNU_FORMAT)
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(header)
        file.seek(200 * 2**30, os.SEEK_CUR)
        file.write(tar_of([(info("0.cls"), b"1")]))
    with pytest.raises(RuntimeError, match=r"TooLargeError: .*214748364800 bytes, more than max_bytes="):
        delivered(partial(dc.read_webdataset, tmp_path / "a.tar"))
    tally.count("bad")
