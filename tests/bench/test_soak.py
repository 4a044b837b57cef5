"""The soak test: a quiet run passes, and whatever grows, differs or gets lost is reported."""

import json
import random
import subprocess
import sys

import pytest

from bench.__main__ import main
from bench.common.photos import open_photos
from bench.soak.command import IMAGES
from bench.soak.damaged_copies import DamagedCopies
from bench.soak.resource_trend import ResourcePoint, describe_growth, trends
from dali_cutmix.sources import SampleError
from dali_cutmix.sources.packed_folder import PackedFolder
from tests.helpers import ROOT, tally
from tests.helpers.images import write_photos


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Just enough small images."""
    return write_photos(tmp_path_factory.mktemp("small"), IMAGES)


def soak(data, json, minutes, prelude=""):
    """Run the command in a process of its own, whose memory is its own too."""
    script = f"import sys\nfrom bench.__main__ import main\n{prelude}\nsys.exit(main(sys.argv[1:]))"
    options = [f"--minutes={minutes}", f"--data={data}", f"--json={json}", "--device=cpu"]
    command = [sys.executable, "-c", script, "soak", *options]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=ROOT)


# What grows


def points(memory, files=None, threads=None):
    """One for each number, memory in MiB."""
    files, threads = files or [9] * len(memory), threads or [4] * len(memory)
    return [
        ResourcePoint(i, int(m * 2**20), f, t) for i, (m, f, t) in enumerate(zip(memory, files, threads, strict=True))
    ]


def grown(*series):
    return [sentence.split(" grew")[0] for sentence in describe_growth(trends(points(*series)))]


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_growth(seed):
    draw = random.Random(seed)
    memory = [draw.gauss(900, 20) + (400 if draw.random() < 0.1 else 0) for _ in range(60)]
    assert not grown(memory, [9 + 3 * (draw.random() < 0.1) for _ in memory])


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_found_under_noise(seed):
    draw = random.Random(seed)
    assert grown([draw.gauss(900, 20) + 2 * i for i in range(60)]) == ["memory"]


def test_a_single_file_or_thread_more_is_growth():
    flat = [900.0] * 9
    assert grown(flat, [9, 9, 9, 9, 9, 9, 10, 10, 10]) == ["open files"]
    assert grown(flat, None, [4, 4, 4, 4, 5, 5, 5, 5, 5]) == ["threads"]
    assert not grown(flat, [10, 10, 10, 9, 9, 9, 8, 8, 8]), "less is none"


def test_memory_may_rise_by_3_percent_and_8_mib():
    assert not grown([900.0] * 3 + [930.0] * 3 + [934.0] * 3)
    sentences = describe_growth(trends(points([900.0] * 3 + [930.0] * 3 + [936.0] * 3)))
    assert sentences == [
        "memory grew from 900 MiB in the first third after the warm-up to 936 MiB in the last; "
        "at most 935 MiB is allowed."
    ]


LOOKS = """
import os
from bench.soak.resource_trend import quiet_point
before = quiet_point(0.0, None)
with open(os.devnull):
    during = quiet_point(0.0, None)
after = quiet_point(0.0, before)
assert (during.files, after.files) == (before.files + 1, before.files), (before, during, after)
assert before.threads >= 1
assert before.resident > 2**20
"""


def test_a_quiet_point_sees_what_is_open():
    """In a process of its own: in this one, the pipelines of other tests may still be closing their files."""
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


# Files that get bad


def test_spoiled_copies_are_what_they_were_once_mended(small, tmp_path):
    def contents():
        files = [path.read_bytes() for path in sorted(copies.files.glob("*/*")) if path.exists()]
        return files, [path.read_bytes() for path in sorted(copies.shards.glob("*.tar"))]

    given = {path: path.read_bytes() for path in small.glob("*/*")}
    copies = DamagedCopies(open_photos(small), IMAGES, tmp_path, random.Random(0))
    good = contents()
    numbers = {copies.damage() for _ in range(10)}
    assert numbers == copies.damaged
    assert contents() != good
    reader = PackedFolder(copies.shards)
    spoiled = set()
    for number in range(IMAGES):
        try:
            reader.read(number)
        except SampleError:
            spoiled.add(number)
    assert spoiled == numbers
    assert [copies.number_of(reader.name(number), packed=True) for number in range(IMAGES)] == list(range(IMAGES))
    assert [copies.number_of(path, packed=False) for path, _ in copies.listing] == list(range(IMAGES))
    copies.restore()
    assert contents() == good
    assert {path: path.read_bytes() for path in small.glob("*/*")} == given, "the user's own are never touched"


# The command


def test_a_short_run_is_quiet_and_its_result_tells_what_was_tried(small, tmp_path):
    done = soak(small, tmp_path / "result.json", 0.1)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all as it should be" in done.stdout.splitlines()[-1]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["benchmark"] == "soak"
    assert result["problems"] == []
    assert result["machine"]["cores"] >= 1
    assert "python" in result["versions"]
    assert set(result["trends"]) == {"memory", "open files", "threads"}
    assert result["turns"] == len(result["points"]) >= result["warm_up_points"] + 9
    assert min(result[what] for what in ("batches", "resumes", "exits", "toggles", "bad")) > 0
    tally.count("resumes", result["resumes"])
    tally.count("bad", result["bad"])


LEAKS = """
import os, threading, time
from bench.soak import turns
make, held = turns.Soak.make, []
def leaking(*arguments):
    held.append(bytearray(b"x" * (4 << 20)))
    os.dup(0)
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return make(*arguments)
turns.Soak.make = leaking
from bench.soak import resource_trend
resource_trend.PATIENCE = 0.05
"""

DIFFERS = """
import base64, re
import dali_cutmix as dc
resume = dc.Loader.load_state_dict
def otherwise(loader, state):
    drawn = re.sub(rb"(Philox_[0-9A-F]{15})[0-9A-F]", rb"\\g<1>0", base64.b64decode(state["pipeline"]))
    state = {name: value for name, value in state.items() if name != "digest"}
    resume(loader, state | {"version": 2, "pipeline": base64.b64encode(drawn).decode()})
dc.Loader.load_state_dict = otherwise
"""

LOSES = """
from pipelines import imagenet
val = imagenet.val
def half(root, **options):
    return val(root, **options, shard=(0, 2)) if callable(root) else val(root, **options)
imagenet.val = half
"""


@pytest.mark.slow
def test_leaks_of_memory_files_and_threads_are_told(small, tmp_path):
    done = soak(small, tmp_path / "result.json", 0.01, LEAKS)
    assert done.returncode == 1, done.stderr[-3000:]
    assert [line.split(" grew")[0] for line in done.stderr.splitlines() if " grew from " in line] == [
        "error: memory",
        "error: open files",
        "error: threads",
    ]
    assert "FAILED" in done.stdout.splitlines()[-1]
    assert len(json.loads((tmp_path / "result.json").read_text())["problems"]) == 3


@pytest.mark.parametrize(
    ("prelude", "told"),
    [
        pytest.param(DIFFERS, "differs after a resume.", id="differs"),
        pytest.param(LOSES, "are good and did not come in an epoch.", id="loses", marks=pytest.mark.slow),
    ],
)
def test_a_loader_that_does_not_give_what_it_should_ends_the_run(small, tmp_path, prelude, told):
    done = soak(small, tmp_path / "result.json", 0.5, prelude)
    assert done.returncode == 1, done.stderr[-3000:]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.endswith(told)
    assert json.loads((tmp_path / "result.json").read_text())["problems"] == [line.removeprefix("error: ")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--minutes=0"], "error: --minutes 0 given; it is how long to run, above 0."),
        (["--minutes=nan"], "error: --minutes nan given; it is how long to run, above 0."),
        (["--seed=-1"], "error: --seed -1 given; it is a whole number of at least 0."),
        (["--device=tpu"], "error: --device tpu given; on this machine there is cpu"),
        (["--data=/nowhere"], "error: /nowhere"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_in_one_line(arguments, told, capsys):
    assert main(["soak", *arguments]) == 2
    assert capsys.readouterr().err.startswith(told)


def test_too_few_images_are_refused(tmp_path, capsys):
    write_photos(tmp_path, 9)
    assert main(["soak", f"--data={tmp_path}"]) == 2
    assert f"{tmp_path} holds 9 images; at least {IMAGES} are needed." in capsys.readouterr().err


@pytest.mark.slow
def test_ten_minutes(small, tmp_path):
    done = soak(small, tmp_path / "result.json", 10)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["seconds"] >= 600
    tally.count("resumes", result["resumes"])
    tally.count("bad", result["bad"])
