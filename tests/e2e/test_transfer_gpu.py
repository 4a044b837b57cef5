"""On a GPU: one step of each detector and of the captioner, and what they find and write, plain and in bfloat16.

The trainer's packages may be missing: then these tests are skipped, and say so.
"""

import pytest

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def fixtures():
    return pytest.importorskip("transfer_fixtures")


@pytest.fixture(scope="module")
def scenes(fixtures, tmp_path_factory):
    pytest.importorskip("sklearn")
    return fixtures.make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", ["voc-ssd300", "voc-faster-rcnn"])
def test_a_step_and_detections(fixtures, scenes, tmp_path, name, amp):
    fixtures.step_and_detections(scenes["voc"], tmp_path, name, device="cuda:0", amp=amp)


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_step_and_captions(fixtures, scenes, tmp_path, amp, ema):
    fixtures.step_and_captions(scenes["coco"], tmp_path, device="cuda:0", amp=amp, ema=ema)
