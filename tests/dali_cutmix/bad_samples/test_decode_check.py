"""The decode check: which of many images are bad, with few of them decoded at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dali_cutmix.bad_samples import decode_check
from dali_cutmix.bad_samples.decode_check import chunks, find_undecodable
from tests.helpers import tally
from tests.helpers.bad_files import BAD, photo


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
    monkeypatch.setattr(decode_check, "CHUNK_BYTES", 3 * len(GOOD_ONE))
    assert find_undecodable([GOOD_ONE] * 7, 10**6) == {}
    assert [len(images) for images in seen] == [3, 3, 1]


@given(st.lists(st.integers(0, 2**24), max_size=300))
def test_chunks_lose_nothing_and_keep_the_order(sizes):
    found = list(chunks(sizes, lambda size: size))
    assert [size for chunk in found for size in chunk] == sizes
    assert all(chunk and len(chunk) <= 64 for chunk in found)
    assert all(sum(chunk[:-1]) < decode_check.CHUNK_BYTES for chunk in found)


@pytest.mark.parametrize("what", ["header", "GIF", "noise", "one byte"])
def test_reasons_are_in_words(what, tmp_path):
    BAD[what](tmp_path / "x")
    (fault,) = find_undecodable([np.fromfile(tmp_path / "x", np.uint8)], 10**6).values()
    assert {"header": "its header is", "GIF": "a GIF"}.get(what, "not an image: it begins with") in fault.reason
