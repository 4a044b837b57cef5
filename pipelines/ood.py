"""Small out-of-distribution sets from folders of larger images, as the paper's E.2 uses them of TinyImageNet and LSUN.

    folder of images ──choose──▶ paths ──read, decode──▶ images ──crop or resize──▶ 32×32 ──Loader──▶ PNG files

    python -m pipelines.ood /data/tiny-imagenet/test /data/tiny-imagenet-crop --how crop
    python -m pipelines.ood /data/tiny-imagenet/test /data/tiny-imagenet-resize --how resize

Copy this file into your project: all that it imports is installed with dali_cutmix[pack]. There the command is
``python ood.py``.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.ops import notes, prepare_decoding
from dali_cutmix.sources import EXTENSIONS
from dali_cutmix.utils import ArgumentParser, exit_with, printable, run_command


def small(
    paths: Sequence[Path], *, how: Literal["crop", "resize"], size: int = 32, batch_size: int = 64, seed: int = 0
) -> dc.Loader:
    """Images of ``size``×``size`` pixels, in the order of ``paths``.

    Args:
        paths: the larger images.
        how: ``"crop"`` cuts a square out at random, ``"resize"`` scales the whole image.
        size: side in pixels.
        batch_size: images in a batch.
        seed: seed of the crops.

    Returns:
        A loader of N×3×``size``×``size`` uint8 and the numbers of the images in ``paths``, N int64.

    Example:
        >>> from pipelines import ood
        >>> loader = ood.small(ood.list_images(Path("photos/cat")), how="crop", batch_size=5)
        >>> [(tuple(images.shape), numbers.tolist()) for images, numbers in loader]
        [((5, 3, 32, 32), [0, 1, 2, 3, 4]), ((3, 3, 32, 32), [5, 6, 7])]
    """

    @pipeline_def(**dc.pipeline_options(batch_size, device="cpu", seed=seed))
    def graph() -> Any:
        encoded, numbers = dc.read_files([(path, number) for number, path in enumerate(paths)], shuffle=False)
        inspected, _ = prepare_decoding(notes(), encoded, dc.MAX_PIXELS, dc.FORMATS, {})
        images = fn.decoders.image(inspected, output_type=types.RGB)
        if how == "crop":
            x, y = (fn.random.uniform(range=(0.0, 1.0)) for _ in range(2))
            return fn.crop(images, crop=(size, size), crop_pos_x=x, crop_pos_y=y), numbers
        return fn.resize(images, size=(size, size), interp_type=types.INTERP_LINEAR, antialias=True), numbers

    return dc.Loader(graph())


def list_images(folder: Path) -> list[Path]:
    """All images in a folder and its subfolders, sorted.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has no image.

    Example:
        >>> from pipelines import ood
        >>> len(ood.list_images(Path("photos")))
        16
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give a folder with images.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise ValueError(f"{folder}: no image in it; give a folder with images ({', '.join(EXTENSIONS)} are read).")
    return found


def choose(source: Path, images: int, seed: int) -> list[Path]:
    """A number of images in a folder and its subfolders, at random if there are more; sorted.

    Args:
        source: the folder.
        images: how many.
        seed: seed of the choice.

    Raises:
        FileNotFoundError, ValueError: no such folder, or it has no images.

    Example:
        >>> from pipelines import ood
        >>> len(ood.choose(Path("photos"), images=3, seed=0))
        3
    """
    found = list_images(source)
    return sorted(random.Random(seed).sample(found, min(images, len(found))))


def write(source: Path, out: Path, how: Literal["crop", "resize"], size: int, images: int, seed: int) -> int:
    """Write the small images as PNG files, without loss.

    Args:
        source: folder of larger images.
        out: new folder.
        how: ``"crop"`` or ``"resize"``, see :func:`small`.
        size: side in pixels.
        images: how many, at random if there are more.
        seed: seed of the choice and of the crops.

    Returns:
        The number of images written.

    Raises:
        FileNotFoundError, ValueError: an invalid folder or number.
        DecodeError: an image cannot be decoded.

    Example:
        >>> from pipelines import ood
        >>> ood.write(Path("photos"), Path("small photos"), "resize", size=32, images=5, seed=0)
        5
    """
    from PIL import Image
    from tqdm import tqdm

    for name, value in {"--size": size, "--images": images}.items():
        if value < 1:
            raise ValueError(f"{name} {value} given; allowed is a whole number of at least 1.")
    paths = choose(source, images, seed)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"OUT {out} given; it is not empty. Give a new folder.")
    for path in paths if how == "crop" else ():
        with Image.open(path) as image:
            if min(image.size) < size:
                raise ValueError(f"{path}: {image.width}×{image.height} pixels, too small to crop {size}×{size} from.")
    out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(paths), unit=" images", desc=printable(out)) as bar:
        for pixels, numbers in small(paths, how=how, size=size, seed=seed):
            for image, number in zip(pixels.permute(0, 2, 3, 1).numpy(), numbers.tolist(), strict=True):
                Image.fromarray(image).save(out / f"{number:05d}.png")
            bar.update(len(numbers))
    return len(paths)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit status.

    Example:
        >>> from pipelines import ood
        >>> ood.main(["photos", "cropped photos", "--how", "crop", "--images", "5"])
        cropped photos: 5 images of 32×32 pixels
        0
    """
    parser = ArgumentParser(
        prog="python -m pipelines.ood",
        description="Make a set of small images from a folder of larger ones, by cropping or resizing.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", type=Path, help="folder of images, with subfolders")
    parser.add_argument("out", metavar="OUT", type=Path, help="new folder")
    parser.add_argument("--how", choices=("crop", "resize"), required=True, help="a random square, or the whole image")
    parser.add_argument("--size", type=int, default=32, help="side in pixels")
    parser.add_argument("--images", type=int, default=10_000, help="how many, at random if there are more")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice and of the crops")

    def run() -> int:
        given = parser.parse_args(arguments)
        try:
            count = write(given.source, given.out, given.how, given.size, given.images, given.seed)
        except RuntimeError as error:  # of which dc.DecodeError is one
            raise ValueError(str(error)) from error
        print(f"{printable(given.out)}: {count} images of {given.size}×{given.size} pixels")
        return 0

    return run_command(run, failed=1, interrupted="stopped; OUT is not complete")


if __name__ == "__main__":
    exit_with(main)
