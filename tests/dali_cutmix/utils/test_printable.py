"""Names of files on a terminal: nothing in them is obeyed, nothing is lost, and of many only ten are named."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_cutmix.utils import printable, shown_paths


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("übung/ß ✓ 猫 'x' \\ .jpg", "übung/ß ✓ 猫 'x' \\ .jpg"),
        ("a\x1b]0;title\x07.jpg", "a\\x1b]0;title\\x07.jpg"),
        ("two\nlines\r.jpg", "two\\x0alines\\x0d.jpg"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\u2028b\u200b\U000e0001", "a\\u2028b\\u200b\\U000e0001"),
        (os.fsdecode(b"\xff\x9b31m.jpg"), "\\xff\\x9b31m.jpg"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud800", "\\ud800"),
    ],
    ids=["plain", "control", "lines", "direction", "invisible", "no UTF-8", "C1", "half a pair"],
)
def test_what_a_terminal_would_obey_is_escaped(name, shown):
    assert printable(name) == shown


@given(st.text(st.characters()))
def test_anything_can_be_printed_and_escaping_twice_is_escaping_once(text):
    shown = printable(text)
    shown.encode()  # raises where a part of it is no text
    assert not [char for char in shown if unicodedata.category(char)[0] == "C"]
    assert printable(shown) == shown


def test_a_message_of_several_lines_keeps_them():
    assert printable("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"


def test_an_error_is_printed_as_its_text():
    assert printable(ValueError("a\x1b")) == "a\\x1b"


def test_ten_of_many_paths_are_named():
    paths = [Path(f"{i:02}.jpg") for i in range(58)]
    assert shown_paths(paths[:1]) == "00.jpg"
    assert shown_paths(paths[:10]) == ", ".join(f"{i:02}.jpg" for i in range(10))
    assert shown_paths(iter(paths)) == ", ".join(f"{i:02}.jpg" for i in range(10)) + " and 48 more"
    assert shown_paths(["a\x1b", "b"]) == "a\\x1b, b"
