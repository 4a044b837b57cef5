"""python -m bench tune: the arguments to use are measured within the time given, and printed."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from bench.__main__ import main
from bench.common.photos import open_photos
from bench.loaders.comparison import budget, rounds
from bench.loaders.contenders import Contender, Settings, ours
from bench.loaders.process.child import Throughput
from bench.tune import command
from bench.tune.candidates import MOST_CORES, candidates, largest_image, threads
from bench.tune.search import Tunable
from tests.helpers.stub_tuning import SMALL, stub

pytestmark = pytest.mark.usefixtures("small_cache")


@pytest.mark.parametrize(
    ("cores", "others"),
    [
        (1, (2,)),
        (2, (1, 3, 4)),
        (16, (8, 12, 24, 32)),
        (96, (32, 48, 64, 128)),
        (256, (32, 48, 64, 96, 128)),
    ],
)
def test_threads_from_half_of_the_cores_to_twice_as_many_within_reason(cores, others):
    assert threads(cores) == Tunable("num_threads", cores, others)
    assert max(others) <= 2 * MOST_CORES


def test_nvjpeg_is_for_gpus(data):
    opened = open_photos(data)
    assert [setting.name for setting in candidates(opened, "cpu", 2)] == ["num_threads", "prefetch"]
    found = {setting.name: setting for setting in candidates(opened, "cuda:0", 16)}
    assert list(found) == ["num_threads", "hw_decoder_load", "preallocate", "prefetch"]
    assert sorted((0.65, *found["hw_decoder_load"].others)) == [0.0, 0.5, 0.65, 0.8, 0.9, 1.0]
    assert found["hw_decoder_load"].others[:3] == (0.8, 0.9, 1.0), "first what a GPU with several engines may want"
    assert found["preallocate"].others == ((96, 80),)


def test_the_largest_image_is_read_from_headers(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    for number, size in enumerate([(40, 20), (30, 90), (50, 60)]):
        Image.new("RGB", size).save(folder / f"{number}.jpg")
    whole = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(whole[: whole.index(b"\xff\xda")])  # a header, and no data
    (folder / "text.jpg").write_text("no image")
    assert largest_image(open_photos(tmp_path)) == (50, 90)


def test_files_that_are_no_images_are_said_to_be_none(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "text.jpg").write_text("no image")
    with pytest.raises(ValueError, match="none of 1 files could be read as an image; check that they are JPEGs"):
        largest_image(open_photos(tmp_path))


def test_the_arguments_reach_the_loader(monkeypatch):
    given = {}

    def train(root, **arguments):
        given.update(arguments)
        return [("images", "targets")]

    monkeypatch.setattr(ours.imagenet, "train", train)
    options = {"num_threads": 7, "prefetch": 4, "hw_decoder_load": 0.8, "preallocate": (500, 400)}
    settings = Settings(Path(), 100, 3, 8, batch_size=10, threads=2, device="cuda:0", cache=Path())
    tried = Contender("0", "", "ours:cutmix", (), mixes=True, arguments=tuple(options.items()))
    assert next(tried.batches(settings)) == ("images", "targets")
    assert given.items() >= (options | {"batch_size": 10, "size": 8, "device": "cuda:0"}).items()


def test_command_prints_the_arguments_to_use(data, tmp_path, monkeypatch, capsys):
    labels = stub(monkeypatch, lambda given: 1000.0 + 100 * (given.get("num_threads") == 3))
    out = tmp_path / "new" / "tune.json"
    assert main(["tune", "--data", str(data), *SMALL, "--json", str(out)]) == 0
    call = f"imagenet.train({str(data)!r}, batch_size=4, size=32, device='cpu', num_threads=3)"
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(f"from pipelines import imagenet\n\nloader = {call}")
    assert "prefetch: no value is measurably better, keep the default." in printed
    assert "measured once more: 1.100 of the defaults" in printed
    assert labels[-2:] == ["defaults", "num_threads=3"]
    result = json.loads(out.read_text())
    assert result["call"] == call
    assert result["arguments"] == {"num_threads": 3}
    assert result["confirmation"]["gain"] == pytest.approx(0.1)
    assert [(entry["setting"], entry["default"], entry["chosen"]) for entry in result["measured"]] == [
        ("num_threads", 2, 3),
        ("prefetch", 2, 2),
    ]
    assert len(result["measured"][0]["values"][0]["rounds"]) == result["settings"]["rounds"] == 5


def test_what_was_measured_before_an_interrupt_is_kept(data, tmp_path, monkeypatch):
    def speed(given):
        if given.get("prefetch") == 4:
            raise KeyboardInterrupt
        return 1000.0

    stub(monkeypatch, speed)
    out = tmp_path / "tune.json"
    assert main(["tune", "--data", str(data), *SMALL, "--json", str(out)]) == 130
    result = json.loads(out.read_text())
    assert result["complete"] is False
    assert [entry["setting"] for entry in result["measured"]] == ["num_threads"]
    assert result["arguments"] == {}


def test_what_is_not_confirmed_is_given_up(data, tmp_path, monkeypatch, capsys):
    """Faster while it is searched for, not when it is measured once more beside the defaults."""
    stub(monkeypatch, lambda given: 1200.0 if len(given) == 2 and given["num_threads"] == 3 else 1000.0)
    out = tmp_path / "tune.json"
    assert main(["tune", "--data", str(data), *SMALL, "--json", str(out)]) == 0
    assert json.loads(out.read_text())["arguments"] == {}
    printed = " ".join(capsys.readouterr().out.split())
    assert "which is not measurable: the defaults stay" in printed
    assert "device='cpu')" in printed


def test_on_a_gpu_nvjpeg_is_tuned_too(data, tmp_path, monkeypatch, capsys):
    def speed(given):
        return None if given.get("preallocate") == (96, 80) else 5000.0 + 1000 * (given.get("hw_decoder_load") == 0.8)

    stub(monkeypatch, speed)
    head = {"machine": {"gpu": "Some GPU"}}
    monkeypatch.setattr(command, "choose_device", lambda device: "cuda:0")
    monkeypatch.setattr(command, "new_result", lambda name, device, settings: head | {"settings": settings})
    out = tmp_path / "tune.json"
    assert main(["tune", "--data", str(data), "--batch-size", "4", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "device='cuda:0', hw_decoder_load=0.8)" in printed
    assert "Some GPU" in printed
    assert "failed" in printed
    assert "no memory" in json.loads(out.read_text())["failed"][0]["reason"]


@pytest.fixture
def slow_gpu(data, tmp_path, monkeypatch):
    """A machine with a clock of its own: a loader takes 10 s to start, and more ``hw_decoder_load`` is faster."""

    class Clock:
        now = 0.0
        started: ClassVar[list] = []

        def monotonic(self):
            return self.now

    clock = Clock()

    class ContenderProcess:
        group = 0

        def __init__(self, contender, settings, silence):
            self.contender, self.delivers = contender, {}
            clock.started.append(contender.label)
            clock.now += 10

        def measure(self, seconds):
            clock.now += seconds
            speed = 1000 * (1 + dict(self.contender.arguments).get("hw_decoder_load", 0.65))
            return Throughput(speed, 10, seconds, 0.1, 0.0)

        def close(self):
            pass

    def quiet(groups, limit=30.0):
        clock.now += 0.5

    monkeypatch.setattr(rounds, "ContenderProcess", ContenderProcess)
    monkeypatch.setattr(rounds, "wait_until_quiet", quiet)
    monkeypatch.setattr(rounds, "time", clock)
    monkeypatch.setattr(budget, "time", clock)
    monkeypatch.setattr(command, "choose_device", lambda device: "cuda:0")
    head = {"machine": {"gpu": "Some GPU"}}
    monkeypatch.setattr(command, "new_result", lambda name, device, settings: head | {"settings": settings})

    def run(*options):
        out = tmp_path / "tune.json"
        given = ["--data", str(data), "--batch-size", "4", "--rounds", "3", "--seconds", "1.5", *options]
        assert main(["tune", *given, "--json", str(out)]) == 0
        return clock, json.loads(out.read_text())

    return run


LOAD = ["--only", "hw_decoder_load"]


def test_within_its_time_as_many_values_are_tried_as_can_be_confirmed(slow_gpu, capsys):
    clock, result = slow_gpu(*LOAD, "--minutes", "1.5")
    assert clock.now <= 90
    [entry] = result["measured"]
    outcomes = {value["value"]: value["outcome"] for value in entry["values"]}
    late = "not tried for lack of time"
    assert outcomes == {0.65: "measured", 0.8: "measured", 0.9: "measured", 1.0: late, 0.5: late, 0.0: late}
    assert entry["values"][3]["images_per_second"] is None
    assert result["confirmation"]["arguments"] == result["arguments"] == {"hw_decoder_load": 0.9}
    assert result["settings"]["minutes"] == 1.5
    printed = capsys.readouterr().out
    assert "hw_decoder_load: not tried for lack of time: 1.0, 0.5, 0.0." in printed
    assert sum(late in line for line in printed.splitlines() if line.startswith("│")) == 3


def test_without_a_limit_every_value_is_tried(slow_gpu, capsys):
    clock, result = slow_gpu(*LOAD)
    assert len(clock.started) == 6 + 2
    assert result["arguments"] == {"hw_decoder_load": 1.0}
    assert "lack of time" not in capsys.readouterr().out


def test_settings_for_which_there_is_no_time_keep_their_defaults(slow_gpu, capsys):
    clock, result = slow_gpu("--only", "hw_decoder_load", "preallocate", "prefetch", "--minutes", "3")
    assert clock.now <= 180
    measured = {entry["setting"]: [value["outcome"] for value in entry["values"]] for entry in result["measured"]}
    assert measured["hw_decoder_load"] == ["measured"] * 6
    assert set(measured["prefetch"]) == {"not tried for lack of time"}
    assert {entry["setting"]: entry["chosen"] for entry in result["measured"]}["prefetch"] == 2
    assert result["confirmation"]["outcome"] == "measured"
    printed = capsys.readouterr().out
    assert "prefetch: not tried for lack of time, keep the default." in printed
    assert "prefetch: no value is measurably better" not in printed


def test_with_hardly_any_time_nothing_is_tried_and_the_defaults_are_printed(slow_gpu, capsys):
    clock, result = slow_gpu(*LOAD, "--minutes", "0.2")
    assert clock.started == []
    assert result["arguments"] == {}
    assert result["confirmation"] is None
    assert "device='cuda:0')" in capsys.readouterr().out


def test_a_loader_that_fails_with_its_defaults_ends_it(data, monkeypatch, capsys):
    stub(monkeypatch, lambda given: None)
    assert main(["tune", "--data", str(data), *SMALL]) == 1
    assert "error: the defaults could not be measured; see above." in capsys.readouterr().err


def test_measures_a_real_loader(data, tmp_path, capsys):
    out = tmp_path / "tune.json"
    options = ["--seconds", "0.1", "--rounds", "3", "--only", "prefetch", "--json", str(out)]
    assert main(["tune", "--data", str(data), *SMALL, *options]) == 0
    result = json.loads(out.read_text())
    [entry] = result["measured"]
    assert [(value["value"], len(value["rounds"])) for value in entry["values"]] == [(2, 3), (1, 3), (4, 3)]
    assert all(value["images_per_second"] > 0 for value in entry["values"])
    assert result["failed"] == []
    assert result["call"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "/no/such/folder"], "/no/such/folder: no such folder"),
        (["--batch-size", "1000"], "holds 24 images; give at most that"),
        (["--batch-size", "1"], "--batch-size 1 given; it is a whole number of at least 2"),
        (["--size", "0"], "--size 0 given"),
        (["--rounds", "2"], "--rounds 2 given; it is a whole number of at least 3"),
        (["--seconds", "inf"], "--seconds inf given"),
        (["--minutes", "-1"], "--minutes -1 given; it is how long to measure at most, 0 for no limit"),
        (["--minutes", "nan"], "--minutes nan given"),
        (["--device", "cuda:99"], "--device cuda:99 given; on this machine there is cpu"),
        (["--only", "hw_decoder_load"], "--only hw_decoder_load given; it has no effect on a CPU: leave it out"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(data, capsys, arguments, says):
    given = [] if "--data" in arguments else ["--data", str(data)]
    batch = [] if "--batch-size" in arguments else ["--batch-size", "4"]
    device = [] if "--device" in arguments else ["--device", "cpu"]
    assert main(["tune", *given, *batch, *device, *arguments]) == 2
    assert says in capsys.readouterr().err
