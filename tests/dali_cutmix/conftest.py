"""Fixtures that the tests of several packages of the library share."""

import pytest

from dali_cutmix.pack.cli import main


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """``packed(folder)``: the folder in shards of five samples, whose files keep their bytes."""
    made = {}

    def of(folder):
        if folder not in made:
            made[folder] = tmp_path_factory.mktemp("packed") / folder.name
            assert main([str(folder), str(made[folder]), "--samples-per-shard=5", "--quality=100", "--workers=1"]) == 0
        return made[folder]

    return of
