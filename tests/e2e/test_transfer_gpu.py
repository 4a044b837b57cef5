"""On a GPU: one step of each detector and of the captioner, and what they find and write, plain and in bfloat16.

The trainer's packages may be missing: then these tests are skipped, and say so.
"""

import pytest

pytestmark = pytest.mark.gpu


PACKAGES = ("faster_coco_eval", "sklearn", "tensorboard", "tqdm", "tyro")


@pytest.fixture(scope="module")
def steps():
    for package in PACKAGES:
        pytest.importorskip(package)
    from tests.helpers import fine_tuning

    return fine_tuning


@pytest.fixture(scope="module")
def scenes(steps, tmp_path_factory):
    return steps.make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", ["voc-ssd300", "voc-faster-rcnn"])
def test_a_step_and_detections(steps, scenes, tmp_path, name, amp):
    steps.step_and_detections(scenes["voc"], tmp_path, name, device="cuda:0", amp=amp)


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_step_and_captions(steps, scenes, tmp_path, amp, ema):
    steps.step_and_captions(scenes["coco"], tmp_path, device="cuda:0", amp=amp, ema=ema)
