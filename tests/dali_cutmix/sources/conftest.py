"""Fixtures of the tests of data sources."""

import shutil

import pytest


@pytest.fixture
def copy(packed, photo_folder, tmp_path):
    """PackedFolder of the photo folder for a test to spoil."""
    return shutil.copytree(packed(photo_folder), tmp_path / "copy")
