"""Import each copied file of pipelines/ in its own folder, and print the shapes of its batches as JSON.

A script that runs with ``python -P`` in a process of its own: of the checkout it can import the library only.
"""

import importlib
import json
import sys
import traceback
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

SITE, PROJECTS, DATA = map(Path, sys.argv[1:4])
CPU = {"batch_size": 2, "device": "cpu", "num_threads": 1}
Shapes = list[list[list[int]]]


class _Refuse(MetaPathFinder):
    """Refuses the checkout's other folders, wherever they may be found."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.split(".")[0] in ("pipelines", "train", "bench", "tests"):
            raise ModuleNotFoundError(f"{name} is not in this project")


sys.meta_path.insert(0, _Refuse())
sys.path.insert(0, str(SITE))

from nvidia.dali import pipeline_def  # noqa: E402

import dali_cutmix as dc  # noqa: E402


def shapes(*loaders: dc.Loader) -> Shapes:
    return [[list(output.shape) for output in batch] for loader in loaders for batch in loader]


def imagenet(module: ModuleType) -> Shapes:
    return shapes(module.train(DATA / "photos", size=32, **CPU), module.val(DATA / "photos", **CPU))


def cifar(module: ModuleType) -> Shapes:
    return shapes(module.train(DATA / "cifar-10-python.tar.gz", **CPU))


def cub(module: ModuleType) -> Shapes:
    return shapes(module.train(DATA / "CUB_200_2011", **CPU))


def detector(module: ModuleType) -> Shapes:
    cat = dc.detection.Object("", "", 0, (8, 4, 60, 50), False)
    entry = dc.detection.Entry("", DATA / "photos" / "cat" / "0.jpg", None, [cat])
    annotated = dc.detection.annotate(("cat",), [entry] * 2)
    return shapes(module.train(annotated, **CPU), module.val(annotated, **CPU))


def captions(module: ModuleType) -> Shapes:
    captioned = dc.detection.Captioned((DATA / "photos" / "cat" / "0.jpg",), (("a", "abc"),))
    return shapes(module.train(captioned, lambda said: [*map(ord, said)], **CPU), module.val(captioned, **CPU))


def annotations(module: ModuleType, root: Path) -> Shapes:
    assert len(module.read(root, "val"))
    annotated = module.read(root, "train")

    @pipeline_def(batch_size=len(annotated), num_threads=1, device_id=None)
    def graph() -> Any:
        jpegs, numbers = dc.detection.read_images(annotated.paths, annotated.classes)
        images, _ = dc.detection.decode(jpegs, annotated)
        objects = dc.detection.pad_objects(*dc.detection.objects_of(numbers, annotated))
        return dc.detection.resize(images, (20, 30)), *objects

    return shapes(dc.Loader(graph()))


def voc(module: ModuleType) -> Shapes:
    return annotations(module, DATA / "VOCdevkit")


def coco(module: ModuleType) -> Shapes:
    assert len(module.read_captions(DATA / "coco", "train"))
    return annotations(module, DATA / "coco")


def ood(module: ModuleType) -> Shapes:
    out = PROJECTS / "ood" / "out"
    assert module.main([str(DATA / "photos"), str(out), "--how", "crop"]) == 0
    return shapes(module.small(module.list_images(out), how="resize", size=16))


BATCHES: dict[str, Callable[[ModuleType], Shapes]] = {
    **{"imagenet": imagenet, "cifar": cifar, "cub": cub, "ssd": detector, "faster_rcnn": detector},
    **{"captions": captions, "voc": voc, "coco": coco, "ood": ood},
}


def batches_of(project: Path) -> Shapes | str:
    """Shapes of the batches of the file in a folder; its traceback where there are none."""
    sys.path.insert(0, str(project))
    try:
        module = importlib.import_module(project.name)
        assert module.__file__ == str(project / f"{project.name}.py")
        return BATCHES[project.name](module)
    except Exception:
        return traceback.format_exc()
    finally:
        sys.path.remove(str(project))


if __name__ == "__main__":
    assert Path(dc.__file__).parents[1] == SITE, dc.__file__
    print(json.dumps({project.name: batches_of(project) for project in sorted(PROJECTS.iterdir())}))
