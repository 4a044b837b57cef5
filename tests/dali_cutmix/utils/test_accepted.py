"""The optional arguments that a user's own function takes."""

from functools import partial

import pytest

from dali_cutmix.utils import accepted


def by_name(*, shard, num_classes=None): ...


def by_any_name(**options): ...


def without(*, shard): ...


class Reader:
    def __call__(self, *, num_classes): ...


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (by_name, True),
        (by_any_name, True),
        (partial(by_name, num_classes=3), True),
        (Reader(), True),
        (without, False),
        (partial(without, shard=(0, 1)), False),
        (dict.update, False),  # says nothing about its arguments
    ],
    ids=["name", "any name", "partial", "object", "without", "partial without", "no signature"],
)
def test_an_argument_is_accepted_by_a_function_that_takes_it(function, takes):
    assert accepted(function, num_classes=80) == ({"num_classes": 80} if takes else {})
    assert accepted(function, num_classes=None) == {}
