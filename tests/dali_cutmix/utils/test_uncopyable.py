"""Objects that own operating-system resources."""

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dali_cutmix.utils import Uncopyable


class _Owner(Uncopyable):
    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self.descriptor)


@pytest.mark.parametrize("attempt", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_is_refused_in_words_that_help_and_leaves_the_owner_whole(
    tmp_path: Path, attempt: Callable[[Any], Any]
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    owner = _Owner(tmp_path / "file")
    with pytest.raises(
        TypeError, match=r"^_Owner holds .* cannot be copied or pickled; keep the loader out .*state_dict\(\)"
    ):
        attempt({"module": [owner]}) if attempt is not copy.copy else attempt(owner)
    assert os.read(owner.descriptor, 7) == b"content"
