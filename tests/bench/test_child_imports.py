"""Processes that the benchmarks start import no more than they need: a measured loader carries nothing but itself."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT

HEAVY = {"PIL", "dali_cutmix", "matplotlib", "nvidia", "pipelines", "rich", "sklearn", "torch", "torchvision", "train"}
LIST = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(list(sys.modules)))"

CHILDREN = {
    "bench.gpu.run_tests": set(),
    "bench.gpu.environment": {"torch", "train"},
    "bench.decode.child": {"dali_cutmix", "nvidia", "torch"},
    "bench.loaders.process.child": {"torch"},
    "bench.loaders.contenders.torchvision": {"PIL", "torch", "torchvision"},
    "bench.loaders.contenders.dali": {"dali_cutmix", "nvidia", "torch"},
    "bench.loaders.contenders.ours": {"dali_cutmix", "nvidia", "pipelines", "torch"},
}


@pytest.mark.parametrize("module", CHILDREN)
def test_a_child_process_imports_only_what_it_needs(module):
    done = subprocess.run([sys.executable, "-c", LIST, module], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in json.loads(done.stdout)} & HEAVY == CHILDREN[module]
