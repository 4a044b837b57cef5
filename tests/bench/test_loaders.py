"""python -m bench loaders: images per second of each loader, in rounds that alternate, and the table of them."""

import copy
import dataclasses
import io
import json
from importlib.util import find_spec
from statistics import median

import pytest
from PIL import Image
from rich.console import Console

from bench.__main__ import main
from bench.common.photos.packed_photos import as_files
from bench.loaders import command
from bench.loaders.contenders import CONTENDERS, Contender
from bench.loaders.report import print_table
from dali_cutmix.sources.packed_folder import PackedFolder
from dali_cutmix.utils.cache import cache_folder

pytestmark = pytest.mark.usefixtures("small_cache")

SIZE, BATCH = 32, 4
SMALL = ["--size", str(SIZE), "--batch-size", str(BATCH), "--seconds", "0.2", "--rounds", "1", "--threads", "1"]
PACKED = ["--short-side", "40"]
# FFCV compiles for many seconds, so it has a test of its own.
ALL = [c.name for c in CONTENDERS if not c.name.startswith("ffcv") and not c.missing() and not c.needs_gpu]
VARIANTS = ["ours-unfused", "ours-mixup", "dali-decode-whole"]  # of others, by an argument
INSTALLED = [name for name in ALL if name not in VARIANTS]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return measure(data, folder, *PACKED, "--only", *INSTALLED)


def measure(data, folder, *options):
    """The exit status, the result and the chart."""
    out = ["--json", str(folder / "new" / "r.json"), "--png", str(folder / "r.png")]
    status = main(["loaders", "--data", str(data), *SMALL, "--device", "cpu", *out, *options])
    return status, json.loads((folder / "new" / "r.json").read_text()), folder / "r.png"


def test_measures_every_installed_loader(run):
    status, result, _ = run
    assert status == 0
    assert [entry["name"] for entry in result["contenders"]] == INSTALLED
    assert result["skipped"] == []


@pytest.mark.slow
def test_measures_their_variants(data, tmp_path):
    status, result, _ = measure(data, tmp_path, "--only", *VARIANTS)
    assert status == 0
    assert result["skipped"] == []
    for name in VARIANTS:
        assert_delivers_what_all_are_to_deliver(result, name)


@pytest.mark.parametrize("name", INSTALLED)
def test_loader_delivers_what_all_are_to_deliver(run, name):
    assert_delivers_what_all_are_to_deliver(run[1], name)


def assert_delivers_what_all_are_to_deliver(result, name):
    [entry] = [entry for entry in result["contenders"] if entry["name"] == name]
    [contender] = [contender for contender in CONTENDERS if contender.name == name]
    if name in ("dali-decode", "dali-decode-whole", "dali-read"):
        assert entry["delivers"] == {}
        return
    assert entry["delivers"]["images"] == [BATCH, 3, SIZE, SIZE]
    assert entry["delivers"]["dtype"] == "float32"
    assert entry["delivers"]["device"] == "cpu"
    assert entry["delivers"]["mixed"] == contender.mixes


def test_stages_add_up_to_the_whole_loader(run):
    """At least: a stage that came out below nothing counts as nothing, which on images this small may happen."""
    parts = run[1]["stages"]["parts"]
    assert [part["stage"] for part in parts] == [
        "reading",
        "decoding + cropping",
        "resampling + normalization",
        "mixing",
    ]
    [ours] = [entry for entry in run[1]["contenders"] if entry["name"] == "ours-cutmix"]
    assert sum(part["share"] for part in parts) == pytest.approx(1)
    assert sum(part["ms_per_image"] for part in parts) >= ours["core_ms_per_image"] - 1e-9
    assert parts[0]["ms_per_image"] > 0
    assert run[1]["stages"]["measure"] == "core_ms"


def test_every_way_of_this_library_is_measured(run):
    assert {"ours-cutmix", "ours-unfused", "ours-mixup", "ours", "dali-read"} <= set(ALL)
    fused = {c.name: dict(c.arguments).get("fused") for c in CONTENDERS if c.name.startswith("ours")}
    same = {"ours-cutmix": None, "ours-mixup": None, "ours": None, "ours-float16": None, "ours-packed": None}
    assert fused == same | {"ours-unfused": False}


def test_reading_alone_is_not_compared_with_loaders(run):
    text = printed(run[1])
    [compared] = [line for line in text.splitlines() if line.startswith("dali_cutmix, CutMix: ")]
    assert "× plain DALI, no mixing" in compared
    assert "reading" not in compared
    assert "Stages of dali_cutmix, CutMix" in text


def test_ratio_is_median_over_median_of_plain_dali(run):
    entries = run[1]["contenders"]
    speeds = {e["name"]: median(r["images_per_second"] for r in e["rounds"]) for e in entries}
    for entry in entries:
        assert entry["images_per_second"] == speeds[entry["name"]]
        assert entry["ratio"] == pytest.approx(speeds[entry["name"]] / speeds["dali"])
        assert entry["min"] <= entry["images_per_second"] <= entry["max"]
        assert all(r["seconds"] >= 0.2 and r["core_ms_per_image"] > 0 for r in entry["rounds"])


def test_json_says_where_and_with_what(run):
    result = run[1]
    assert {"cpu", "cores", "memory_gib", "gpu", "driver", "system"} <= set(result["machine"])
    assert {"python", "torch", "torchvision", "numpy", "pillow", "commit"} <= set(result["versions"])
    assert result["settings"]["images"] == 24
    assert result["settings"]["batch_size"] == BATCH
    assert result["date"].startswith("20")


def printed(result):
    console = Console(record=True, width=200, file=io.StringIO())
    print_table(result, console)
    return console.export_text()


def test_table_warns_of_disturbed_measurements(run):
    result = copy.deepcopy(run[1])
    rounds = [part for entry in result["contenders"] for part in entry["rounds"]]
    for part in rounds:
        part["cores_elsewhere"] = 0.02
    assert "disturbed" not in printed(result)
    rounds[0]["cores_elsewhere"] = 0.9
    assert f"1 of {len(rounds)} measurements were disturbed: other work used up to 0.9 cores" in printed(result)
    assert all(entry["label"] in printed(result) for entry in result["contenders"])


def test_chart_is_a_picture(run):
    with Image.open(run[2]) as image:
        assert image.format == "PNG"
        assert image.width > 500


@pytest.mark.skipif(find_spec("ffcv") is None, reason="FFCV is not installed")
def test_ffcv_reads_the_same_bytes(data, tmp_path):
    out = tmp_path / "r.json"
    options = [*SMALL, "--device", "cpu", *PACKED, "--only", "ffcv", "ffcv-packed", "--json", str(out)]
    assert main(["loaders", "--data", str(data), *options]) == 0
    for entry in json.loads(out.read_text())["contenders"]:
        assert entry["delivers"]["images"] == [BATCH, 3, SIZE, SIZE]
        assert entry["ratio"] is None
    written = [beton.read_bytes() for beton in cache_folder().glob("ffcv-*.beton")]
    assert len(written) == 2
    assert any(all(beton.count(file.read_bytes()) == 1 for file in data.rglob("*.jpg")) for beton in written)


def test_the_packed_images_are_smaller_and_the_same_for_all(run, data):
    [folder] = cache_folder().glob("packed-*-40-2")
    shards = PackedFolder(folder)
    assert len(shards) == 48
    assert min(Image.open(io.BytesIO(shards.read(0)[0].tobytes())).size) == 40
    files = sorted(as_files(folder).rglob("*.jpg"))
    assert [file.read_bytes() for file in files] == [shards.read(n)[0].tobytes() for n in range(48)]
    assert run[1]["settings"]["short_side"] == 40


def test_a_failing_loader_is_named_and_the_status_says_so(data, tmp_path, monkeypatch, capfd):
    broken = Contender("broken", "Broken", "nowhere:batches", (), mixes=False)
    unmixed = Contender("unmixed", "Unmixed", "ours:plain", (), mixes=True)
    monkeypatch.setattr(command, "CONTENDERS", (broken, unmixed))
    out = tmp_path / "r.json"
    assert main(["loaders", "--data", str(data), *SMALL, "--device", "cpu", "--json", str(out)]) == 1
    result = json.loads(out.read_text())
    assert result["contenders"] == []
    reasons = {entry["name"]: entry["reason"] for entry in result["skipped"]}
    assert "No module named 'bench.loaders.contenders.nowhere'" in reasons["broken"]
    assert "without a mixed target" in reasons["unmixed"]
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "/no/such/folder"], "/no/such/folder: no such folder"),
        (["--batch-size", "1000"], "holds 24 images; give at most that"),
        (["--batch-size", "1"], "--batch-size 1 given; it is a whole number of at least 2"),
        (["--size", "0"], "--size 0 given"),
        (["--threads", "-1"], "--threads -1 given"),
        (["--rounds", "0"], "--rounds 0 given"),
        (["--silence", "0"], "--silence 0 given; it is how long a loader may give no batch, in seconds above 0"),
        (["--minutes", "-1"], "--minutes -1 given; it is how long to measure at most, 0 for no limit"),
        (["--short-side", "-1"], "--short-side -1 given"),
        (
            ["--only", "ours-packed", "--batch-size", "4"],
            "--only ours-packed: measured with --short-side only; leave it out",
        ),
        (["--seconds", "0"], "--seconds 0 given"),
        (["--device", "cuda:99"], "--device cuda:99 given; on this machine there is cpu"),
        (
            ["--only", "dali", "tensorflow"],
            "--only tensorflow given; the loaders are ours-cutmix, ours-unfused, ours-mixup",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_starts(data, capsys, arguments, says):
    given = [] if "--data" in arguments else ["--data", str(data)]
    assert main(["loaders", *given, *arguments]) == 2
    assert says in capsys.readouterr().err


def test_what_cannot_run_is_left_out_unless_asked_for(data, monkeypatch, capsys):
    absent = Contender("absent", "Absent", "absent:batches", ("no_such_module",), mixes=False)
    monkeypatch.setattr(command, "CONTENDERS", (absent,))
    assert main(["loaders", "--data", str(data), *SMALL]) == 0
    assert main(["loaders", "--data", str(data), *SMALL, "--only", "absent"]) == 2
    assert "--only absent: not installed: no_such_module" in capsys.readouterr().err


def test_what_needs_a_gpu_is_refused_on_a_cpu(data, capsys):
    assert main(["loaders", "--data", str(data), *SMALL, "--device", "cpu", "--only", "torchvision-gpu"]) == 2
    assert "--only torchvision-gpu: needs a GPU; leave it out or fix that" in capsys.readouterr().err


def test_a_loader_whose_package_is_not_there_is_missing_and_no_error():
    needs = dataclasses.replace(CONTENDERS[0], modules=("no_such_package.module", "json"))
    assert needs.missing() == ["no_such_package.module"]
