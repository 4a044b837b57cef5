"""Labels of several classes each: a few bytes a sample, and the dense rows that the lists mean."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dali_cutmix.sources import MultiLabels


@given(
    lists=st.lists(st.lists(st.integers(0, 300), unique=True, max_size=6), min_size=1, max_size=12),
    extra=st.integers(0, 3),
    data=st.data(),
)
def test_every_row_has_ones_for_its_classes_and_zeros_elsewhere(lists, extra, data):
    labels = MultiLabels.of(lists)
    assert labels.num_classes == max((number + 1 for classes in lists for number in classes), default=0)
    k = labels.num_classes + extra
    numbers = data.draw(st.lists(st.integers(0, len(lists) - 1), min_size=1, max_size=20))
    found = labels.dense(k, [np.array([number], np.int32) for number in numbers])
    assert [row.tolist() for row in found] == [[float(c in lists[number]) for c in range(k)] for number in numbers]
    assert all(row.dtype == np.float32 for row in found)


@given(st.lists(st.lists(st.integers(0, 9), unique=True, max_size=4), min_size=1, max_size=6), st.data())
def test_the_digest_is_that_of_the_sets_of_classes(lists, data):
    shuffled = [data.draw(st.permutations(classes)) for classes in lists]
    assert MultiLabels.of(shuffled).digest == MultiLabels.of(lists).digest
    for other in ([*lists, []], [*lists[:-1], [*lists[-1], 10]], [[10], *lists]):
        assert MultiLabels.of(other).digest != MultiLabels.of(lists).digest


def test_a_class_that_moves_to_the_next_sample_changes_the_digest():
    assert MultiLabels.of([[0, 1], [2]]).digest != MultiLabels.of([[0], [1, 2]]).digest


def test_memory_is_that_of_the_numbers():
    """A million samples with two of 80 classes each: 2 bytes for the classes, 8 for their place."""
    classes = np.random.default_rng(0).integers(0, 79, 10**6)
    labels = MultiLabels.of([(n, 79) for n in classes.tolist()])
    assert labels.nbytes <= 10 * (10**6 + 1)
    found = np.array(labels.dense(80, [np.array([5]), np.array([999_999])]))
    assert found.sum() == 4
    assert found[[0, 1], classes[[5, 999_999]]].tolist() == [1, 1]
