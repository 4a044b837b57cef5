"""Each file of pipelines/, alone in an empty project beside the installed library: it imports and gives batches."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from tests.helpers.example_data import write_example_data

FILES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.py") if path.stem != "__init__")
EXPECTED = {
    "imagenet": [[2, 3, 32, 32], [2, 2]],
    "cifar": [[2, 3, 32, 32], [2, 10]],
    "cub": [[2, 3, 224, 224], [2, 3]],
    "ssd": [[2, 3, 300, 300], [2, 1, 4], [2, 1]],
    "faster_rcnn": [[2, 3, 600, 800], [2, 1, 4], [2, 1], [2, 2]],
    "captions": [[2, 3, 224, 224], [2, 3]],
    "voc": [[3, 3, 20, 30], [3, 2, 4], [3, 2]],
    "coco": [[3, 3, 20, 30], [3, 2, 4], [3, 2]],
    "ood": [[16, 3, 16, 16], [16]],
}
"""Shapes of each file's first batch."""
PROJECTS = ROOT / "tests" / "helpers" / "copied_files.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Shapes of each file's batches, or its traceback, from one process for all, since importing takes the longest."""
    root = tmp_path_factory.mktemp("copied")
    site, projects, data = (root / name for name in ("site", "projects", "data"))
    shutil.copytree(ROOT / "dali_cutmix", site / "dali_cutmix", ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (projects / name).mkdir(parents=True)
        shutil.copy(ROOT / "pipelines" / f"{name}.py", projects / name)
    write_example_data(data)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"XDG_CACHE_HOME": str(root / "cache")}
    command = [sys.executable, "-P", PROJECTS, site, projects, data]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", FILES)
def test_a_file_alone_gives_batches(found, name):
    assert isinstance(found[name], list), found[name]
    assert found[name]
    assert all(side > 0 for batch in found[name] for shape in batch for side in shape)
    assert found[name][0] == EXPECTED[name]
