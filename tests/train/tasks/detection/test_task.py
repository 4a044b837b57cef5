"""Detection: targets without padding; a step and detections, plain and in bfloat16."""

import pytest
import torch

from tests.helpers.fine_tuning import make_scenes, quickly, step_and_detections
from tests.helpers.training import ALONE
from train.launch import start

DETECTORS = ["voc-ssd300", "voc-faster-rcnn"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("scenes"))["voc"]


@pytest.mark.parametrize("name", DETECTORS)
def test_targets_are_the_objects_without_padding(scenes, tmp_path, name):
    task = start(quickly(name, scenes, tmp_path), ALONE).task
    counts = set()
    for batch in task.loader:
        _, boxes, labels, *sizes = batch
        seen = {}

        def forward(images, targets, seen=seen):
            seen |= {"images": images, "targets": targets}
            return {"one": torch.ones(()), "other": torch.ones(())}

        assert task.loss(forward, list(batch)) == 2
        for number, target in enumerate(seen["targets"]):
            known = labels[number] >= 0
            assert torch.equal(target["boxes"], boxes[number][known])
            assert torch.equal(target["labels"], labels[number][known] + 1)
            assert target["labels"].min() >= 1
            counts.add(len(target["labels"]))
            if sizes:
                assert list(seen["images"][number].shape[1:]) == sizes[0][number].tolist()
    assert len(counts) > 1


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", DETECTORS)
def test_a_step_and_detections_on_the_cpu(scenes, tmp_path, name, amp):
    step_and_detections(scenes, tmp_path, name, amp=amp)
