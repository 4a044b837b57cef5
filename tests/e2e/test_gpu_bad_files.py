"""On a GPU: bad files are named or replaced, and cost no other sample."""

import numpy as np
import pytest

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers.bad_files import BAD
from tests.helpers.images import save


@pytest.mark.gpu
def test_a_bad_file_is_named_on_the_gpu(photo_folder, tmp_path):
    import shutil

    root = shutil.copytree(photo_folder, tmp_path / "photos")
    bad = sorted(root.rglob("*.jpg"))[13]
    bad.write_text("this is no picture\n" * 20)
    with pytest.raises(RuntimeError) as caught:
        for _ in imagenet.val(root, batch_size=8, size=16, resize=16, device="cuda:0"):
            pass
    assert str(bad) in str(caught.value)


def loader_over_a_bad_file(folder, kind, what, on_error):
    for i in range(16):
        save(np.full((48, 48, 3), 10 * i, np.uint8), folder / "a" / f"{i:02d}.jpg")
    BAD[what](folder / "a" / "05.jpg")
    options = {"batch_size": 4, "size": 16, "device": "cuda:0", "on_error": on_error, "max_bad": 0.1}
    options["bad_log"] = folder / "bad.jsonl"
    if kind == "val":
        return imagenet.val(folder, resize=16, **options)
    return imagenet.train(folder, scale=(1, 1), ratio=(0.01, 100), fused=kind == "fused", **options)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["val", "fused", "unfused"])
def test_data_that_are_cut_off_are_named_or_delivered_and_cost_no_other_sample(tmp_path, kind):
    """A GPU's JPEG engine looks at headers only before it decodes, and may decode what is cut off without an error.

    ``python -m dali_cutmix.check`` decodes on the CPU and finds such files.
    """

    def delivered():
        try:
            return sum(len(images) for images, _ in loader_over_a_bad_file(tmp_path, kind, "data", "raise"))
        except dc.DecodeError as error:
            return str(error)

    found = delivered()
    assert found == 16 or "05.jpg (" in str(found)
    batches = list(loader_over_a_bad_file(tmp_path, kind, "data", "replace"))
    assert sum(len(images) for images, _ in batches) == 16
    assert all(images.isfinite().all() for images, _ in batches)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["val", "fused", "unfused"])
@pytest.mark.parametrize("what", ["text", "header", "empty", "bomb"])
def test_bad_files_are_named_and_replaced_on_a_gpu_too(tmp_path, kind, what):
    def make(on_error):
        return loader_over_a_bad_file(tmp_path, kind, what, on_error)

    with pytest.raises(dc.DecodeError, match=r"05\.jpg \("):
        list(make("raise"))
    assert sum(len(images) for images, _ in make("replace")) == 16
    assert "05.jpg" in (tmp_path / "bad.jsonl").read_text()
