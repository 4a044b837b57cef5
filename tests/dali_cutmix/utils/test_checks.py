"""Argument checks: what is allowed passes; what is not is named, with what is allowed instead."""

import re

import numpy as np
import pytest

from dali_cutmix.utils import (
    check_chance,
    check_choice,
    check_classes,
    check_fraction,
    check_max_pixels,
    check_padding,
    check_preallocate,
    check_range,
    check_resize,
    check_seed,
    check_shard,
    check_size,
    check_whole,
    local_files,
    local_paths,
)

AREA = "fraction of the area"
ALLOWED = [
    (check_whole, "workers", 1),
    (check_whole, "quality", 100, 1, 100),
    (check_seed, 0),
    (check_seed, 2**32 - 1),
    (check_size, "size", 1),
    (check_resize, 224, 224, "shorter"),
    (check_padding, 0, 1),
    (check_padding, 31, 32),
    (check_max_pixels, 1),
    (check_preallocate, (0, 0)),
    (check_range, "scale", (0.08, 1), AREA, 1),
    (check_range, "ratio", (1, 7.5), "width:height"),
    (check_choice, "decode", "whole", ("region", "whole")),
    (check_shard, (0, 1)),
    (check_shard, (3, 4)),
    (check_classes, 10, 10),
    (check_classes, np.int64(10), 0),
]
WHOLE = "allowed is a whole number of at least 1."
PIXELS = "it is a number of pixels, a whole number of at least 1."
REFUSED = [
    (check_whole, ("workers", 0), f"workers=0 given; {WHOLE}"),
    (check_whole, ("workers", 2.0), f"workers=2.0 given; {WHOLE}"),
    (check_whole, ("workers", "2"), f"workers='2' given; {WHOLE}"),
    (check_whole, ("--workers", 0), f"--workers 0 given; {WHOLE}"),
    (check_whole, ("--quality", 101, 1, 100), "--quality 101 given; allowed is a whole number from 1 to 100."),
    (check_seed, (-1,), "seed=-1 given; allowed is a whole number from 0 to 2**32 - 1."),
    (check_seed, (2**32,), f"seed={2**32} given; allowed is a whole number from 0 to 2**32 - 1."),
    (check_seed, (0.0,), "seed=0.0 given; allowed is a whole number from 0 to 2**32 - 1."),
    (check_size, ("resize", 0), f"resize=0 given; {PIXELS}"),
    (check_size, ("size", 0.5), f"size=0.5 given; {PIXELS}"),
    (check_resize, (0, 1, "shorter"), f"resize=0 given; {PIXELS}"),
    (check_resize, (1, "1", "shorter"), f"size='1' given; {PIXELS}"),
    (check_resize, (9, 10, "shorter"), "resize=9 given with size=10; the shorter side must be at least the crop's."),
    (check_padding, (32, 32), "padding=32 given with size=32; it is a whole number of pixels, 0 to 31, so that every"),
    (check_padding, (-1, 32), "padding=-1 given with size=32; "),
    (check_padding, (1.0, 32), "padding=1.0 given with size=32; "),
    (check_max_pixels, (0,), "max_pixels=0 given; it is width × height, a whole number of at least 1."),
    (check_max_pixels, (1e6,), "max_pixels=1000000.0 given; it is width × height"),
    (check_preallocate, ((1,),), "preallocate=(1,) given; it is (width, height) in pixels of the largest image"),
    (check_preallocate, ((-1, 5),), "preallocate=(-1, 5) given; "),
    (check_preallocate, (5,), "preallocate=5 given; "),
    (check_range, ("scale", (0, 1), AREA, 1), f"scale=(0, 1) given; it is (smallest, largest) {AREA}, above 0 and at"),
    (check_range, ("scale", (0.1, 1.1), AREA, 1), "above 0 and at most 1."),
    (check_range, ("scale", (0.5, 0.1), AREA, 1), "scale=(0.5, 0.1) given; "),
    (check_range, ("scale", 0.5, AREA, 1), "scale=0.5 given; "),
    (check_range, ("ratio", (0.5, float("inf")), "width:height"), "(smallest, largest) width:height, both above 0."),
    (check_range, ("ratio", (float("nan"), 1), "width:height"), "ratio=(nan, 1) given; "),
    (check_chance, ("flip", 1.5), "flip=1.5 given; it is a chance, 0 to 1."),
    (check_chance, ("flip", "1"), "flip='1' given; it is a chance, 0 to 1."),
    (check_fraction, ("max_bad", -0.1, "a fraction of all"), "max_bad=-0.1 given; it is a fraction of all, 0 to 1."),
    (check_choice, ("missing", "x", ("error", "skip")), "missing='x' given; allowed are 'error' and 'skip'."),
    (check_choice, ("d", "x", ("a", "b", "c")), "d='x' given; allowed are 'a', 'b' and 'c'."),
    (check_choice, ("d", "x", ("a", "b"), {"a": "(N)"}), "d='x' given; allowed are 'a' (N) and 'b'."),
    (check_shard, ((1, 1),), "shard=(1, 1) given; it is (rank, world_size) with 0 <= rank < world_size, (0, 1)"),
    (check_shard, ((-1, 1),), "shard=(-1, 1) given; "),
    (check_shard, (0,), "shard=0 given; "),
    (check_classes, (0, 0), f"num_classes=0 given; {WHOLE}"),
    (check_classes, (2.0, 2), f"num_classes=2.0 given; {WHOLE}"),
    (check_classes, (9, 10), "num_classes=9 given, but the data has 10 classes, so labels go up to 9; give"),
]


@pytest.mark.parametrize("call", ALLOWED, ids=lambda call: f"{call[0].__name__}{call[1:]}")
def test_what_is_allowed_passes(call):
    check, *arguments = call
    check(*arguments)


def name_of(part):
    """A function's name, without its address: two test processes collect the same names."""
    return getattr(part, "__name__", str(part))


@pytest.mark.parametrize(("check", "arguments", "message"), REFUSED, ids=name_of)
def test_what_is_refused_is_named_with_what_is_allowed(check, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check(*arguments)


WHOLE_NUMBERS = {
    "whole": lambda value: check_whole("workers", value),
    "seed": check_seed,
    "size": lambda value: check_size("size", value),
    "resize": lambda value: check_resize(value, 2, "shorter")[0],
    "cropped": lambda value: check_resize(9, value, "shorter")[1],
    "padding": lambda value: check_padding(value, 9),
    "pixels": check_max_pixels,
    "width": lambda value: check_preallocate((value, 0))[0],
    "rank": lambda value: check_shard((value, 9))[0],
    "world": lambda value: check_shard((0, value))[1],
    "classes": lambda value: check_classes(value, 0),
}


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize("value", [5, np.int64(5), np.int32(5), np.uint8(5)], ids=repr)
def test_a_whole_number_becomes_pythons_so_that_all_are_the_same_to_a_state(name, value):
    found = WHOLE_NUMBERS[name](value)
    assert found == 5
    assert type(found) is int


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize("value", [True, np.True_, 5.0, np.float64(5), "5", None], ids=repr)
def test_what_is_no_whole_number_is_refused(name, value):
    with pytest.raises(
        ValueError, match=rf"{re.escape(repr(value))}.* given.*(whole number|rank, world_size|in pixels)"
    ):
        WHOLE_NUMBERS[name](value)


@pytest.mark.parametrize("value", [0, 1, 0.25, True])
def test_a_fraction_becomes_a_float_so_that_0_and_0_0_are_the_same_to_a_state(value):
    for found in (check_chance("flip", value), check_fraction("max_bad", value, "a fraction")):
        assert found == value
        assert type(found) is float


def test_one_path_or_several_become_a_list(tmp_path):
    assert local_paths("a", "read") == local_paths(["a"], "read") == ["a"]
    assert local_paths([tmp_path, "b"], "read") == [str(tmp_path), "b"]


@pytest.mark.parametrize(("paths", "message"), [([], "read: no path given; give at least"), ("s3://a", "s3://a given")])
def test_no_path_and_a_path_elsewhere_are_refused(paths, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        local_paths(paths, "read")


def test_a_pattern_becomes_its_files_in_sorted_order_without_indexes(tmp_path, monkeypatch):
    for name in ("b.tar", "a.tar", "a.idx", "[x].tar"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert local_files("?.*", "read") == [tmp_path / "a.tar", tmp_path / "b.tar"]
    assert local_files(["b.tar", "[x].tar"], "read") == [tmp_path / "b.tar", tmp_path / "[x].tar"]
    with pytest.raises(FileNotFoundError, match=re.escape("read: no file matches 'c*'.")):
        local_files("c*", "read")
