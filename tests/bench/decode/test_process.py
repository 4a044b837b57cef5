"""A way that crashes, hangs or never starts ends alone, and its last words are its result."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from bench.__main__ import main
from bench.decode import command, decode_process
from bench.decode.ways import DecodeWay
from tests.helpers.processes import is_running

pytestmark = pytest.mark.usefixtures("small_cache")
SMALL = ["--batch-size", "8", "--threads", "2", "--device", "cpu"]

CHILD = """
import json, os, signal, sys, time
print("ready", flush=True)
open(f"{os.getpid()}.pid", "w")
job = json.loads(sys.stdin.readline())
region, fancy = job["way"]["region"], job["way"]["fancy"]
if region and fancy:
    os.kill(os.getpid(), signal.SIGSEGV)
if region:
    time.sleep(60)
if not fancy:
    print("no such symbol", file=sys.stderr)
    sys.exit(3)
answer = {"images_per_second": 9.0, "min": 8.0, "max": 10.0, "core_ms_per_image": 1.0, "levels_from_cpu": 0.0}
print(json.dumps(answer | {"decoded_by": {"hardware": 0, "cuda": 0, "cpu": 8}}))
"""


def test_a_crash_or_a_hang_is_that_ways_result(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", CHILD))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "r.json"
    assert main(["decode", "--data", str(data), *SMALL, "--limit", "1", "--json", str(out)]) == 1
    found = {entry["name"]: entry["failure"] for entry in json.loads(out.read_text())["ways"]}
    assert found == {
        "whole, fancy": None,
        "region, fancy": "SIGSEGV",
        "whole, plain": "exit status 3: no such symbol",
        "region, plain": "did not end within 1 s",
    }
    printed = capsys.readouterr().out
    assert "failed: region, fancy: SIGSEGV" in printed
    assert "8 to 10" in printed
    assert "nvJPEG: none loaded" in printed
    pids = [file.stem for file in tmp_path.glob("*.pid")]
    assert len(pids) == 4
    assert not any(Path("/proc", pid).exists() for pid in pids)


def test_a_process_that_cannot_start_is_told_by_its_last_words(data, monkeypatch, capsys):
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", "import no_such_module"))
    assert main(["decode", "--data", str(data), *SMALL, "--only", "whole"]) == 1
    assert "exit status 1: ModuleNotFoundError: No module named 'no_such_module'" in capsys.readouterr().out


def test_a_process_that_ends_without_an_answer_has_failed(data, monkeypatch, capsys):
    code = "import sys; print('ready', flush=True); sys.stdin.readline(); print('gave up', file=sys.stderr)"
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", code))
    assert main(["decode", "--data", str(data), *SMALL, "--only", "whole"]) == 1
    assert "failed: whole, fancy: ended without an answer: gave up" in capsys.readouterr().out


def test_a_process_that_cannot_be_ended_is_left(monkeypatch):
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(decode_process, "KILLED", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", lambda *_: None)
        stuck = decode_process.DecodeProcess()
        start = time.monotonic()
        stuck.close()
        assert time.monotonic() - start < 2
    pid = stuck._process.pid
    assert is_running(pid)
    os.killpg(pid, signal.SIGKILL)


def test_what_does_not_decode_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "all_ways", lambda *_: [DecodeWay(False, True, None)])
    (tmp_path / "class").mkdir()
    Image.effect_noise((64, 64), 50).save(tmp_path / "class" / "a.jpg")
    whole = (tmp_path / "class" / "a.jpg").read_bytes()
    (tmp_path / "class" / "b.jpg").write_bytes(whole[: len(whole) // 2])
    options = ["--batch-size", "2", "--device", "cpu", "--only", "whole"]
    assert main(["decode", "--data", str(tmp_path), *options]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(r"failed: whole, fancy: .*ecode.*b\.jpg", printed)
