"""make gpu: it chooses or creates a Python environment and passes its options on."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT


def outside_make():
    """The environment without what ``make test`` hands on to its commands: a make below another one prints more."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}


def test_make_passes_its_options_on():
    given = [f"PYTHON={sys.executable}", "DEVICE=cpu", "MINUTES=4", "STEPS=tests kernel", "PHOTOS=/some/photos"]
    said = subprocess.run(
        ["make", "-n", "gpu", *given], cwd=ROOT, env=outside_make(), capture_output=True, text=True, check=True
    ).stdout
    said = " ".join(said.replace("\\\n", " ").split())
    expected = "-m bench gpu --minutes 4 --device cpu --steps tests kernel --data /some/photos"
    assert said.endswith(f"{sys.executable} {expected}")


@pytest.fixture
def checkout(tmp_path):
    """The Makefile alone, and Pythons that write down how they are called."""
    for name in ("pyproject.toml", "setup.py"):
        (tmp_path / name).touch()
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name, fails_at in (("without_dali", "import nvidia"), ("without_compiler", "setup.py")):
        path = tmp_path / name
        said = f"case \"$*\" in *'{fails_at}'*) echo '{fails_at} failed' >&2; exit 1;; esac"
        path.write_text(f'#!/bin/sh\necho "$*" >> calls\n{said}\n')
        path.chmod(0o755)
    return tmp_path


def make(checkout, *given):
    ran = subprocess.run(
        ["make", *given], cwd=checkout, env=outside_make(), capture_output=True, text=True, check=False
    )
    return ran, (checkout / "calls").read_text()


def test_a_python_that_was_given_has_to_have_dali(checkout):
    ran, calls = make(checkout, "gpu", "PYTHON=./without_dali")
    assert ran.returncode == 2
    assert "import nvidia failed" in ran.stderr
    assert "venv" not in calls
    assert "bench gpu" not in calls


def test_without_a_compiler_make_gpu_goes_on(checkout):
    ran, calls = make(checkout, "gpu", "PYTHON=./without_compiler")
    assert ran.returncode == 0, ran.stderr
    assert "setup.py failed" in ran.stderr
    assert calls.splitlines()[-1] == "-m bench gpu --minutes 8 --device cuda:0"


def test_where_no_python_was_given_make_gpu_sets_up_its_own(checkout):
    ran = subprocess.run(
        ["make", "-n", "gpu"],
        cwd=checkout,
        env=outside_make() | {"PYTHON": "./without_dali"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "./without_dali -m venv .venv" in ran.stdout
    assert ".venv/bin/python -m bench gpu" in ran.stdout
