"""``python -m bench gallery``: draw a contact sheet of mixed batches with their boxes and targets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from bench.common.photos import open_photos
from dali_cutmix.mixing import BOX, dense_targets, make_plan, paste_numpy
from dali_cutmix.mixing import draw as draw_numbers
from dali_cutmix.ops import FILL
from dali_cutmix.utils import printable

POLICIES: dict[str, dc.Policy | None] = {
    "cutmix": dc.CutMix(),
    "mixup": dc.Mixup(),
    "cutout": dc.Cutout(),
    "none": None,
}
INCHES, DPI = 2.0, 110


@dataclass(frozen=True)
class MixedImage:
    """One mixed image: pixels H×W×3 uint8, box (x1, y1, x2, y2), and the weight of each class in its target."""

    pixels: np.ndarray
    box: tuple[int, int, int, int]
    weights: dict[str, float]


def gallery(
    data: Path | None = None,
    out: Path = Path("gallery.png"),
    mix: Literal["cutmix", "mixup", "cutout", "none"] = "cutmix",
    rows: int = 3,
    columns: int = 6,
    size: int = 224,
    seed: int = 0,
) -> int:
    """Draw mixed batches as a contact sheet: one batch in a row, each image with its box and its target.

    Args:
        data: folder with one subfolder of images for each class; without it, files made from scikit-learn's sample
            photographs.
        out: PNG file to write.
        mix: mixing policy.
        rows: batches to draw.
        columns: images in a batch.
        size: side of an image in pixels.
        seed: seed of crops and mixing.
    """
    for name, value, least in (("rows", rows, 1), ("columns", columns, 2), ("size", size, 8)):
        if value < least:
            raise ValueError(f"--{name} {value} given; it is a whole number of at least {least}.")
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out {out} given; it is a PNG file, so give a name that ends in .png.")
    photos = open_photos(data)
    if columns > photos.images:
        raise ValueError(
            f"--columns {columns} given, but {photos.root} holds {photos.images} images; give at most that."
        )
    batches = mixed_batches(photos.root, photos.classes, POLICIES[mix], rows, columns, size, seed)
    draw(batches, out)
    print(printable(out))
    return 0


def mixed_batches(
    root: Path, classes: tuple[str, ...], policy: dc.Policy | None, rows: int, columns: int, size: int, seed: int
) -> list[list[MixedImage]]:
    """Make ``rows`` batches of ``columns`` images as the library makes them, without normalization."""

    @pipeline_def(**dc.pipeline_options(columns, device="cpu", num_threads=1, seed=seed))
    def graph() -> Any:
        jpegs, labels = dc.read_folder(root, seed=seed)
        return dc.random_resized_crop(jpegs, size), labels, *draw_numbers(policy)

    pipeline = graph()
    pipeline.build()
    batches = []
    for _ in range(rows):
        crops, labels, *draws = (np.array(output.as_tensor()) for output in pipeline.run())
        plan = make_plan(policy, 0.5, size, size, *draws)
        mixed = paste_numpy(list(crops), list(plan.rows), FILL)
        targets = dense_targets(labels, plan, len(classes))[0]
        batches.append(
            [_mixed_image(classes, *sample) for sample in zip(mixed, plan.rows, labels, targets, strict=True)]
        )
    return batches


def _mixed_image(
    classes: tuple[str, ...], pixels: np.ndarray, row: np.ndarray, label: np.ndarray, target: np.ndarray
) -> MixedImage:
    x1, y1, x2, y2 = row[BOX].tolist()
    own_first = sorted(np.flatnonzero(target), key=lambda index: index != int(label))
    return MixedImage(pixels, (x1, y1, x2, y2), {classes[index]: float(target[index]) for index in own_first})


def draw(batches: list[list[MixedImage]], out: Path) -> None:
    """Write the sheet: a row for each batch, above each image its target, in the image the outline of its box."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, columns = len(batches), len(batches[0])
    images = [image for batch in batches for image in batch]
    figure = Figure(figsize=(INCHES * columns, (INCHES + 0.35) * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, image in zip(figure.subplots(rows, columns, squeeze=False).flat, images, strict=True):
        axes.imshow(image.pixels)
        axes.set_axis_off()
        axes.set_title(" + ".join(f"{weight:.2f} {name}" for name, weight in image.weights.items()), fontsize=8)
        x1, y1, x2, y2 = image.box
        height, width = image.pixels.shape[:2]
        if x1 < x2 and y1 < y2 and (x2 - x1, y2 - y1) != (width, height):
            # imshow puts the center of pixel 0 at 0, so its edge is at −0.5.
            box = Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor="yellow", linewidth=1.5)
            axes.add_patch(box)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=DPI)
