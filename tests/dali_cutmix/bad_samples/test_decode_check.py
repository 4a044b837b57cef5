"""The decode check: which of many images are bad, with few of them decoded at once."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dali_cutmix.bad_samples import decode_check
from dali_cutmix.bad_samples.decode_check import chunks, find_undecodable
from tests.helpers import ROOT, tally
from tests.helpers.bad_files import BAD, photo
from tests.helpers.bad_files import encoded as encode


def encoded(content):
    return np.frombuffer(content, np.uint8)


GOOD_ONE, EMPTY, TEXT, CUT_OFF = (encoded(x) for x in (photo(), b"", b"no picture, " * 9, photo()[:2000]))


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["good", "empty", "text", "cut off"]), max_size=90))
def test_exactly_the_bad_ones_are_found_wherever_they_stand(kinds):
    images = {"good": GOOD_ONE, "empty": EMPTY, "text": TEXT, "cut off": CUT_OFF}
    found = find_undecodable([images[kind] for kind in kinds], 10**6)
    assert found == {
        number: (
            "damaged",
            {
                "empty": "the file is empty",
                "text": "not an image: it begins with b'no picture, no p'",
                "cut off": "its data is damaged or cut off",
            }[kind],
        )
        for number, kind in enumerate(kinds)
        if kind != "good"
    }
    tally.count("bad", len(found))


def test_few_are_decoded_at_once(monkeypatch):
    """Of large photographs a whole batch would not fit into memory."""
    seen, real = [], decode_check._decodes
    monkeypatch.setattr(decode_check, "_decodes", lambda images, *rest: seen.append(images) or real(images, *rest))
    assert find_undecodable([GOOD_ONE] * 150, 10**6) == {}
    assert [len(images) for images in seen] == [64, 64, 22]
    seen.clear()
    monkeypatch.setattr(decode_check, "CHUNK_BYTES", 3 * 3 * 96 * 80)
    assert find_undecodable([GOOD_ONE] * 7, 10**6) == {}
    assert [len(images) for images in seen] == [3, 3, 1]


@given(st.lists(st.integers(0, 2**28), max_size=300))
def test_chunks_lose_nothing_and_keep_the_order(sizes):
    found = list(chunks(sizes, lambda size: size))
    assert [size for chunk in found for size in chunk] == sizes
    assert all(chunk and len(chunk) <= 64 for chunk in found)
    assert all(len(chunk) == 1 or sum(chunk) <= decode_check.CHUNK_BYTES for chunk in found)


@pytest.mark.parametrize("what", ["header", "GIF", "noise", "one byte"])
def test_reasons_are_in_words(what, tmp_path):
    BAD[what](tmp_path / "x")
    (fault,) = find_undecodable([np.fromfile(tmp_path / "x", np.uint8)], 10**6).values()
    assert {"header": "its header is", "GIF": "a GIF"}.get(what, "not an image: it begins with") in fault.reason


def test_a_format_that_is_not_decoded_is_not_called_damaged():
    gif, tiff = (encoded(encode(Image.new("RGB", (20, 20)), form)) for form in ("GIF", "TIFF"))
    found = find_undecodable([GOOD_ONE, gif, tiff, CUT_OFF], 10**6)
    assert {number: fault.kind for number, fault in found.items()} == {
        1: "not supported",
        2: "not supported",
        3: "damaged",
    }
    assert list(find_undecodable([GOOD_ONE, gif, tiff], 10**6, formats=("jpeg", "tiff"))) == [1]
    assert list(find_undecodable([GOOD_ONE, tiff], 10**6, formats=("tiff",))) == [0]
    assert find_undecodable([GOOD_ONE], 96 * 80 - 1)[0] == ("not supported", "96×80 pixels, more than max_pixels=7679")


def test_a_jpeg_with_stray_bytes_between_its_segments_is_a_good_one():
    content = photo()
    assert find_undecodable([encoded(content[:2] + bytes(1) + content[2:])], 10**6) == {}


@pytest.mark.slow
def test_out_of_memory_is_no_damage():
    """A process with too little memory for the pixels, which it can have for everything else."""
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr.splitlines()[-1]


LITTLE_MEMORY = """
import re, resource
from pathlib import Path
import numpy as np
from PIL import Image
from dali_cutmix.bad_samples import find_undecodable
from tests.helpers.bad_files import encoded
large = np.frombuffer(encoded(Image.new("RGB", (12000, 12000)), "JPEG"), np.uint8)
used = 1024 * int(re.search(r"VmSize:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000,) * 2)
print(find_undecodable([large], 10**9))
"""
