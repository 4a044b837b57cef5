"""Fixtures of the tests of loaders: loaders of labels, and the batches that they deliver."""

import pytest

from tests.helpers.loaders import epoch_of, label_loader


@pytest.fixture
def make(numbered_folder):
    """Loaders over 26 samples: 6 batches of 4 in a training epoch, 7 in evaluation."""
    root = numbered_folder(26)
    return lambda **options: label_loader(root, 4, **options)


@pytest.fixture
def sequence(make):
    """Batches of five whole training epochs."""
    reference = make()
    return [batch for _ in range(5) for batch in epoch_of(reference)]
