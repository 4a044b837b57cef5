"""python -m bench.gpu.run_tests: a test that crashes or hangs has failed, and all others go on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.gpu import key_figures
from bench.gpu import steps as gpu_steps
from bench.gpu.steps import StepContext
from tests.helpers import ROOT

MARK = "mark" + ".gpu"
"""In parts, else this file would count as one with such tests."""
TESTS = """
import os, time
import pytest

@MARK
def test_good(): pass

@MARK
def test_bad(): assert 1 == 2

@MARK
@pytest.mark.parametrize("name", ["a b", "c"])
def test_absent(name): pytest.skip("not here")

@MARK
def test_crash(): os.kill(os.getpid(), 11)

@MARK
def test_hang(): time.sleep(60)

@MARK
@pytest.mark.xfail
def test_expected(): assert False

@pytest.fixture
def broken():
    yield
    assert False

@MARK
def test_torn_down(broken): pass

@MARK
def test_also_good(): time.sleep(0.2)

def test_for_a_cpu(): assert False
"""


@pytest.fixture(scope="module", name="ran")
def tests_of_all_kinds(tmp_path_factory):
    """The step ``tests``, run in a checkout with tests of all kinds."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "tests").mkdir()
    (root / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: needs a GPU\n")
    (root / "tests" / "test_kinds.py").write_text(TESTS.replace("@MARK", f"@pytest.{MARK}"))
    (root / "tests" / "test_broken.py").write_text(f"import no_such_module  # {MARK}\n")
    (root / "tests" / "test_other.py").write_text("import no_such_module_either\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_steps, "ROOT", root)
        command = gpu_steps._tests(StepContext("cpu", None, root, 2), 9)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_test_that_crashes_or_hangs_ends_no_other(ran):
    found = {name.partition("::")[2] or name: word for name, word in key_figures.outcomes(ran.stdout).items()}
    assert found == {
        "tests/test_broken.py": "failed",
        "test_good": "passed",
        "test_bad": "failed",
        "test_absent[a b]": "skipped",
        "test_absent[c]": "skipped",
        "test_crash": "failed",
        "test_hang": "failed",
        "test_expected": "passed",
        "test_torn_down": "failed",
        "test_also_good": "passed",
    }
    assert ran.returncode == 1
    assert key_figures.tests(ran.stdout, Path()) == "3 passed, 5 failed, 2 skipped"
    assert ran.stdout.rstrip().endswith("\n3 passed, 5 failed, 2 skipped")


def test_why_a_test_failed_is_printed(ran):
    assert "\n[failed: SIGSEGV] tests/test_kinds.py::test_crash\n" in ran.stdout
    assert "\n[failed: did not end within 3 s] tests/test_kinds.py::test_hang\n" in ran.stdout
    assert "assert 1 == 2" in ran.stdout
    assert "No module named 'no_such_module'" in ran.stdout
    assert "no_such_module_either" not in ran.stdout


def test_a_process_that_ends_before_its_tests_has_failed(tmp_path):
    (tmp_path / "conftest.py").write_text("import os\nos.abort()\n")
    (tmp_path / "test_a.py").write_text("def test_a(): pass\n")
    command = [sys.executable, "-m", "bench.gpu.run_tests", "1", "30", str(tmp_path / "test_a.py")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stdout.startswith("[failed: SIGABRT] process 0\n")
    assert ran.stdout.endswith("\n0 passed, 1 failed, 0 skipped\n")


def test_tests_that_were_running_at_the_end_of_the_time_are_named(tmp_path):
    slow = tmp_path / "test_slow.py"
    code = f"import time, pytest\n@pytest.{MARK}\ndef test_a(): pass\n@pytest.{MARK}\ndef test_b(): time.sleep(60)\n"
    slow.write_text(code + f"@pytest.{MARK}\ndef test_c(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: needs a GPU\n")
    command = [sys.executable, "-m", "bench.gpu.run_tests", "1", "30", str(slow)]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log)
    end = time.monotonic() + 30
    while "::test_a" not in (tmp_path / "log").read_text() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    running.terminate()
    assert running.wait(10) == 130
    said = (tmp_path / "log").read_text()
    assert said.endswith("[passed] test_slow.py::test_a\n[did not end] test_slow.py::test_b\n")
    assert key_figures.tests(said, Path()) == "1 passed, 0 failed, 0 skipped, 1 did not end, 1 without a result"


def test_tests_without_a_result_are_counted():
    log = (
        "[collected: 9] tests\n[passed] tests/test_gpu.py::test_a[x-y z]\n[failed: SIGBUS] tests/test_gpu.py::test_b\n"
    )
    assert key_figures.tests(log, Path()) == "1 passed, 1 failed, 0 skipped, 7 without a result"


WITHOUT_PACKAGES = """
import sys
for name in ("cv2", "faster_coco_eval", "jinja2", "matplotlib", "sklearn", "tensorboard"):
    sys.modules[name] = None
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-m", "gpu", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def test_tests_of_this_repository_are_collected_without_the_trainers_packages(tmp_path):
    """A GPU machine may lack them: a test that needs one is skipped then, and costs no other test."""
    files = gpu_steps._tests(StepContext("cpu", None, tmp_path, 2), 9)[5:]
    command = [sys.executable, "-c", WITHOUT_PACKAGES, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert len(files) > 5
    assert done.returncode == 0, done.stdout + done.stderr
