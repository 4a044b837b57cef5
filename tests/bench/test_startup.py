"""python -m bench startup: ImageNet's length of list and folder, in seconds and GiB."""

import json

import pytest

from bench.__main__ import main


def run(tmp_path, *arguments):
    assert main(["startup", "--json", str(tmp_path / "result.json"), *arguments]) == 0
    return json.loads((tmp_path / "result.json").read_bytes())["starts"]


def test_it_measures_each_kind_of_start(tmp_path, capsys):
    starts = run(tmp_path, "--samples", "60000", "--rounds", "1")
    assert list(starts) == ["list", "folder", "folder, remembered"]
    for runs in starts.values():
        assert [found["batches"] for found in runs] == [60000 // 256]
    assert starts["folder, remembered"][0]["seconds"] < starts["folder"][0]["seconds"]
    assert "folder, remembered" in capsys.readouterr().out


@pytest.mark.slow
def test_a_list_and_a_folder_of_imagenets_length_start_in_time(tmp_path):
    starts = run(tmp_path, "--rounds", "1")
    ((listed,), (scanned,), (remembered,)) = starts.values()
    assert listed["batches"] == scanned["batches"] == remembered["batches"] == 1_281_167 // 256
    assert max(listed["seconds"], scanned["seconds"]) < 20
    assert remembered["seconds"] < 3
    assert max(found["peak_gib"] for found in (listed, scanned, remembered)) < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--samples", "999"], "--samples 999 given"), (["--rounds", "0"], "--rounds 0 given")],
)
def test_too_few_are_refused(capsys, arguments, message):
    assert main(["startup", *arguments]) == 2
    assert message in capsys.readouterr().err
