"""The data that the examples in docstrings read: one small folder or archive in each layout."""

from pathlib import Path

from sklearn.datasets import load_sample_images

from tests.helpers.boxed_images import make_cub
from tests.helpers.cifar_archives import make_data, pack, write_folder
from tests.helpers.images import save
from tests.helpers.voc_and_coco import caption_content, coco_content, make_voc, write_coco


def write_example_data(root: Path) -> Path:
    """``photos`` (classes cat and dog, 8 JPEGs of 128×96 pixels each), ``labels.csv`` of four of them, and the rest."""
    for name, pixels in zip(("cat", "dog"), load_sample_images().images, strict=True):
        for number in range(8):
            part = pixels[30 * number :][:96, 40 * number :][:, :128]
            save(part, root / "photos" / name / f"{number}.jpg")
    lines = [f"{name}/{number},{name}\n" for name in ("dog", "cat") for number in range(2)]
    (root / "labels.csv").write_text("".join(["id,animal\n", *lines]))
    pack(write_folder(root, "cifar-10-batches-py", make_data("cifar-10-batches-py")))
    make_cub(root / "CUB_200_2011")
    make_voc(root / "VOCdevkit")
    for name in ("train2017", "val2017"):
        write_coco(root / "coco", name, coco_content())
        write_coco(root / "coco", name, caption_content(), "captions")
    return root
