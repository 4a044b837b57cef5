"""The data that the examples in docstrings read: one small folder or archive in each layout."""

from pathlib import Path

from sklearn.datasets import load_sample_images

from tests.helpers.box_fixtures import make_cub
from tests.helpers.cifar_fixtures import make_data, pack, write_folder
from tests.helpers.images import save
from tests.helpers.layout_fixtures import caption_content, coco_content, make_voc, write_coco


def write_example_data(root: Path) -> Path:
    """``photos`` (8 JPEGs of 128×96 pixels in classes cat and dog), ``cifar-10-python.tar.gz``, and the rest."""
    for number in range(8):
        pixels = load_sample_images().images[number % 2][10 * number :, 20 * number :][:96, :128]
        save(pixels, root / "photos" / ("cat", "dog")[number // 4] / f"{number}.jpg")
    pack(write_folder(root, "cifar-10-batches-py", make_data("cifar-10-batches-py")))
    make_cub(root / "CUB_200_2011")
    make_voc(root / "VOCdevkit")
    for name in ("train2017", "val2017"):
        write_coco(root / "coco", name, coco_content())
        write_coco(root / "coco", name, caption_content(), "captions")
    return root
