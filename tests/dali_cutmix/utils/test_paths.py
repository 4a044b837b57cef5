"""Patterns of files: braces as in bash and webdataset, and what is missing."""

import pytest
from braceexpand import braceexpand
from hypothesis import given
from hypothesis import strategies as st

from dali_cutmix.utils import local_files
from dali_cutmix.utils.braces import expand_braces

LITERAL = st.text("a-_.{}, 01", max_size=3)
NUMBERS = st.tuples(
    st.sampled_from(["0", "00", "7", "08", "-2", "011", "3"]), st.sampled_from(["1", "04", "12", "-1", "0"])
)
RANGES = NUMBERS.map("{{{0[0]}..{0[1]}}}".format) | st.sampled_from(
    ["{a..d}", "{c..A}", "{0..9..3}", "{9..1..-2}", "{a..g..2}"]
)
PATTERNS = st.recursive(
    st.sampled_from(["a", "b-", "{x}", "{}", "1..2"]) | RANGES,
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"{{{','.join(parts)}}}")
        | st.lists(inner, max_size=3).map("".join)
    ),
    max_leaves=6,
)


@given(PATTERNS | LITERAL)
def test_braces_mean_what_they_mean_to_webdataset(pattern):
    try:
        theirs = list(braceexpand(pattern, escape=False))
    except ValueError:
        with pytest.raises(ValueError, match="a brace is not closed, or was not opened"):
            list(expand_braces(pattern))
    else:
        assert list(expand_braces(pattern)) == theirs


@pytest.fixture
def shards(tmp_path):
    for name in ("a-00.tar", "a-01.tar", "a-02.tar", "a-02.idx", "b-00.tar", "{0..1}.tar"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-{00..02}.tar", ["a-00.tar", "a-01.tar", "a-02.tar"]),
        ("{b,a}-{00..00}.tar", ["b-00.tar", "a-00.tar"]),
        ("{b,a}-*", ["b-00.tar", "a-00.tar", "a-01.tar", "a-02.tar"]),
        ("{0..1}.tar", ["{0..1}.tar"]),
    ],
)
def test_braces_and_stars_are_expanded_in_order_and_a_files_own_name_comes_first(shards, pattern, names):
    assert [path.name for path in local_files(shards / pattern, "read")] == names


def test_a_missing_file_of_a_range_is_named(shards):
    told = r"read: \S+/a-\{00\.\.04\}\.tar given; 2 of the 5 files .* missing, the first is \S+/a-03\.tar\. Copy"
    with pytest.raises(FileNotFoundError, match=told):
        local_files(str(shards / "a-{00..04}.tar"), "read")
    with pytest.raises(FileNotFoundError, match=r"read: no file matches '\S+/c-\*'"):
        local_files(str(shards / "{a,c}-*"), "read")


@pytest.mark.parametrize("pattern", ["a-{00..02.tar", "a-00..02}.tar", "{a,{b}"])
def test_a_brace_without_its_other_half_is_refused(shards, pattern):
    with pytest.raises(
        ValueError, match=r"given; a brace is not closed, or was not opened. Write a range as \{000\.\.099\}"
    ):
        local_files(shards / pattern, "read")
