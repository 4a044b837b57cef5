"""python -m bench loaders --stages: how much time each stage of the pipeline takes."""

import io

import pytest
from rich.console import Console

from bench.loaders.comparison.stages import STAGES, stage_costs
from bench.loaders.report import print_stages

NAMES = [name for _, name in STAGES]


def rows(costs, rate=1000.0):
    """One row for each contender of a stage: ``costs`` are core-ms for each image, one for each round."""
    return [
        {
            "name": name,
            "rounds": [{"core_ms_per_image": cost, "images_per_second": rate / cost} for cost in rounds],
        }
        for name, rounds in zip(NAMES, costs, strict=True)
    ]


QUIET = rows([[0.05, 0.051, 0.05], [0.85, 0.86, 0.85], [1.0, 1.01, 1.0], [1.25, 1.26, 1.25]])


def printed(found):
    console = Console(record=True, width=200, file=io.StringIO())
    print_stages(found, console)
    return console.export_text()


@pytest.mark.parametrize(("device", "measure"), [("cpu", "core_ms"), ("cuda:0", "elapsed_ms")])
def test_a_stage_costs_what_it_adds_to_those_before(device, measure):
    found = stage_costs(QUIET, device)
    assert found["measure"] == measure
    assert [part["stage"] for part in found["parts"]] == [stage for stage, _ in STAGES]
    costs = [part["ms_per_image"] for part in found["parts"]]
    assert costs == pytest.approx([0.05, 0.80, 0.15, 0.25])
    assert [part["share"] for part in found["parts"]] == pytest.approx([cost / 1.25 for cost in costs])
    assert not any(part["within_spread"] for part in found["parts"])
    assert "noise" not in printed(found)


def test_on_a_gpu_time_is_elapsed_and_cpu_time_without_meaning():
    gpu = rows([[0.1], [0.2], [0.25], [0.25]])
    for row in gpu:
        row["rounds"][0]["core_ms_per_image"] = 7.0
    found = stage_costs(gpu, "cuda:0")
    assert [part["ms_per_image"] for part in found["parts"]] == pytest.approx([0.1, 0.1, 0.05, 0.0])
    assert "marginal cost" in printed(found)
    assert "CPU time" not in printed(found)


def test_a_cost_below_its_spread_is_marked_and_never_negative():
    noisy = rows([[0.05, 0.05, 0.05], [0.85, 0.85, 0.85], [1.0, 1.0, 1.0], [0.9, 0.99, 1.08]])
    mixing = stage_costs(noisy, "cpu")["parts"][-1]
    assert mixing["ms_per_image"] == 0
    assert mixing["spread"] == pytest.approx(0.18)
    assert mixing["within_spread"]
    assert printed(stage_costs(noisy, "cpu")).count("within the noise") == 1


def test_a_drift_that_all_have_in_common_is_no_spread():
    drift = rows([[0.05, 0.05, 0.05], [0.8, 0.9, 1.0], [1.0, 1.1, 1.2], [1.1, 1.2, 1.3]])
    parts = stage_costs(drift, "cpu")["parts"]
    assert [part["spread"] for part in parts[2:]] == pytest.approx([0, 0], abs=1e-9)
    assert not any(part["within_spread"] for part in parts[2:])


def test_one_round_tells_no_spread():
    once = stage_costs(rows([[0.05], [0.85], [1.0], [1.1]]), "cpu")
    assert {part["spread"] for part in once["parts"]} == {None}
    assert {part["within_spread"] for part in once["parts"]} == {None}
    assert "One round tells no spread" in printed(once)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_measured_is_named_and_nothing_is_made_up(name):
    assert stage_costs([row for row in QUIET if row["name"] != name], "cpu") is None
    assert all(needed in printed(None) for needed in NAMES)


def test_on_a_gpu_decoding_is_that_of_whole_images_where_it_was_measured():
    whole = [*QUIET, {**QUIET[1], "name": "dali-decode-whole", "rounds": QUIET[2]["rounds"]}]
    assert stage_costs(whole, "cpu") == stage_costs(QUIET, "cpu")
    parts = {part["stage"]: part["ms_per_image"] for part in stage_costs(whole, "cuda:0")["parts"]}
    assert parts["decoding + cropping"] > 0
    assert parts["resampling + normalization"] == 0, "the same rounds as decoding whole images"
