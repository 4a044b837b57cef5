"""The learning rate, against PyTorch's own schedulers and by hand."""

from dataclasses import replace

import pytest
import torch
from torch.optim import lr_scheduler

from train.engine.schedule import Schedule
from train.recipes import RECIPES, digits


def torch_rates(steps, make):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_equals_torch():
    expected = torch_rates(50, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=50))
    assert list(map(Schedule(peak=0.4, total=50), range(50))) == pytest.approx(expected, abs=1e-12)


def test_steps_equal_torch():
    expected = torch_rates(50, lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones=[10, 20, 45]))
    assert list(map(Schedule(peak=0.4, total=50, milestones=(10, 20, 45)), range(50))) == pytest.approx(expected)


@pytest.mark.parametrize("milestones", [None, (30,)])
def test_warmup_is_linear_and_ends_at_the_peak(milestones):
    schedule = Schedule(peak=0.4, total=50, warmup=4, milestones=milestones)
    assert [schedule(step) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_cosine_after_warmup_by_hand():
    schedule = Schedule(peak=1.0, total=12, warmup=4)
    assert [schedule(step) for step in (4, 6, 8, 10)] == pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-6)


def test_the_paper_divides_by_ten_every_75_epochs():
    schedule = Schedule.from_config(RECIPES["imagenet-resnet50"](), steps_per_epoch=5004)
    rates = [schedule(epoch * 5004 - 1) for epoch in (1, 75, 150, 225, 300)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001])
    assert schedule(75 * 5004) == pytest.approx(0.01)


def test_fractions_of_epochs_become_steps():
    config = digits()
    schedule = Schedule.from_config(config, steps_per_epoch=7)
    assert (schedule.total, schedule.warmup) == (7 * config.epochs, 7 * config.warmup_epochs)


def test_a_warmup_longer_than_the_run_is_refused():
    config = replace(digits(), iterations=20, warmup_epochs=3)
    assert Schedule.from_config(config, steps_per_epoch=6).warmup == 18
    with pytest.raises(ValueError, match=r"--warmup-epochs 3 are 21 steps, but the run has 20 \(--iterations\)"):
        Schedule.from_config(config, steps_per_epoch=7)
