"""Archives and pickles of CIFAR that would fill the memory or never end are refused in bounded time and memory."""

import gzip
import os
import random
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dali_cutmix.sources import convert_cifar
from dali_cutmix.sources.cifar.tar_members import tar_members
from pipelines import cifar
from tests.helpers import ROOT, tally
from tests.helpers.cifar_archives import pack, write_pickle

NAME = "cifar-10-batches-bin"
GIB = 2**30
CONVERT = """
import resource, sys, time
from dali_cutmix.sources import convert_cifar
from pipelines import cifar
began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    cifar.is_cifar(sys.argv[1])
    convert_cifar(sys.argv[1])
except ValueError as error:
    print(error)
print(time.monotonic() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10, sep="\\n")
"""


def refused(path: Path) -> tuple[str, float, float]:
    """The error, seconds, and MiB that it took, in a process of its own."""
    command = [sys.executable, "-c", CONVERT, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    error, seconds, mebibytes = done.stdout.splitlines()
    return error, float(seconds), float(mebibytes)


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """The header of a member, with any bytes as its size."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size.ljust(12, b"\0")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    return bytes(block)


def binary(number: int) -> bytes:
    return number.to_bytes(12, "big", signed=True) if number < 0 else b"\x80" + number.to_bytes(11, "big")


@pytest.mark.parametrize("member", ["data_batch_1.bin", pytest.param("other", marks=pytest.mark.slow)])
def test_a_gzip_bomb_is_refused_in_bounded_memory(tmp_path, member):
    """3 MB that unpack to 3 GiB: with the file's right size, or without any tar header that says so."""
    path = tmp_path / "cifar-10-binary.tar.gz"
    size = 3 * GIB
    zeros = gzip.compress(bytes(2**24))
    path.write_bytes(gzip.compress(header(f"{NAME}/{member}", b"%011o" % size)) + zeros * (size >> 24))
    assert path.stat().st_size < 4e6
    error, seconds, mebibytes = refused(path)
    assert "damaged or truncated (it unpacks to more than 268,435,456 bytes, which no archive of CIFAR does)" in error
    assert seconds < 20
    assert mebibytes < 300
    tally.count("bad")


ODD_SIZES = {
    "-512": binary(-512),
    "-1": binary(-1),
    "octal -1": b"-0000000001",
    "2^60": binary(2**60),
    "2^64": binary(2**64),
    "8 GiB": b"77777777777",
    "text": b"many",
    "nothing": b"",
    "underscores": b"1_000",
}


@pytest.mark.parametrize("size", ODD_SIZES)
@pytest.mark.parametrize("kind", [b"0", b"5", b"x", b"L", b"g", b"S", b"7"], ids=bytes.decode)
@pytest.mark.parametrize("name", [f"{NAME}/data_batch_1.bin", "other"], ids=["ours", "other"])
def test_an_odd_size_is_refused_at_once(tmp_path, size, kind, name):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(header(name, ODD_SIZES[size], kind) * 3 + bytes(10240), 1))
    with pytest.raises(
        ValueError, match=r"binary\.tar\.gz: damaged or truncated \((a size of|it unpacks to|a member of)"
    ):
        convert_cifar(path)
    renamed = path.rename(tmp_path / "x.tar.gz")
    assert not cifar.is_cifar(renamed) or name != "other"
    tally.count("bad")


def test_a_thousand_headers_of_long_names_are_read_one_after_another(tmp_path, folder):
    archive = pack(folder(NAME))
    content = gzip.decompress(archive.read_bytes())
    long = (header("long", b"%011o" % 4, b"L") + b"name".ljust(512, b"\0")) * 5000
    archive.write_bytes(gzip.compress(long + content, 1))
    assert (convert_cifar(archive) / "train.rec").is_file()


@pytest.mark.parametrize("seed", range(10))
def test_noise_in_an_archive_ends_with_the_usual_error(folder, seed):
    archive = pack(folder(NAME, per_file=1))
    content, rng = gzip.decompress(archive.read_bytes()), random.Random(seed)
    headers = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]
    for _ in range(30):
        damaged = bytearray(content)
        at = rng.choice(headers)
        for _ in range(rng.randint(1, 4)):
            damaged[at + rng.choice([rng.randrange(512), rng.randrange(124, 136), 156])] = rng.randrange(256)
        if rng.random() < 0.8:  # with a checksum that fits
            block = damaged[at : at + 512]
            damaged[at + 148 : at + 156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
        archive.write_bytes(gzip.compress(bytes(damaged[: rng.choice([len(damaged), rng.randrange(len(damaged))])]), 1))
        try:
            members = {name: read() for name, read in tar_members(archive, 2**28)}
        except ValueError as error:
            assert str(error)  # noqa: PT017  (noise may fall where it makes no difference)
        else:
            assert all(len(data) < 2**20 for data in members.values())
        tally.count("bad")


def test_a_plain_tar_is_read_as_well(folder):
    archive = pack(folder(NAME))
    archive.write_bytes(gzip.decompress(archive.read_bytes()))
    assert (convert_cifar(archive) / "train.rec").is_file()


@pytest.mark.parametrize("path", ["fifo", "device"])
def test_a_fifo_or_device_is_no_archive(tmp_path, path):
    place = tmp_path / "cifar-10-binary.tar.gz"
    os.mkfifo(place) if path == "fifo" else place.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        convert_cifar(place)


# Pickles


def numbered(index: int) -> bytes:
    """A pickle that keeps a value under a number."""
    return b"\x80\x02}r" + struct.pack("<I", index) + b"."


def test_a_pickle_with_a_large_number_takes_no_memory(folder):
    """64 GiB with the unpickler that is written in C."""
    root = folder("cifar-10-batches-py", per_file=1)
    (root / "data_batch_1").write_bytes(numbered(0xFFFFFFF0))
    error, seconds, mebibytes = refused(root)
    assert "data_batch_1 is damaged or not a file of CIFAR (it has no data)" in error
    assert seconds < 20
    assert mebibytes < 300
    tally.count("bad")


def test_a_pickle_with_an_array_of_bytes_that_are_not_there_takes_no_memory(folder):
    """Twelve bytes of a newer protocol took as much as they said."""
    root = folder("cifar-10-batches-py", per_file=1)
    (root / "data_batch_1").write_bytes(b"\x80\x05\x96" + struct.pack("<Q", 2 * 10**9) + b".")
    error, _, mebibytes = refused(root)
    assert "data_batch_1 is damaged or not a file of CIFAR (it has a bytearray, which files of CIFAR" in error
    assert mebibytes < 300
    tally.count("bad")


LISTS = [
    [[7] * 20_000] * 20_000,  # one list in many places
    [b"x" * 10_000] * 20_000,
    ["x" * 10_000] * 20_000,
    {number: number for number in range(3)},
    10**30,
    [10**30, 1, 2],
    None,
]


@pytest.mark.parametrize("labels", LISTS, ids=range(len(LISTS)))
def test_labels_that_would_unfold_to_gigabytes_are_refused(folder, labels):
    root = folder("cifar-100-python")
    write_pickle(root / "train", {b"data": np.zeros((3, 3072), np.uint8), b"fine_labels": labels})
    assert (root / "train").stat().st_size < 2**20
    with pytest.raises(ValueError, match="train is damaged or not a file of CIFAR"):
        convert_cifar(root)
    tally.count("bad")


@pytest.mark.parametrize("names", [[b"x" * 200_000] * 20_000, [b"a"] * 101, b"airplane", {b"a": b"b"}], ids=range(4))
def test_names_that_would_unfold_to_gigabytes_are_refused(folder, names):
    root = folder("cifar-10-batches-py", per_file=1)
    write_pickle(root / "batches.meta", {b"label_names": names})
    assert (root / "batches.meta").stat().st_size < 2**20
    with pytest.raises(ValueError, match=r"batches\.meta is damaged or not a file of CIFAR \("):
        convert_cifar(root)
    tally.count("bad")
