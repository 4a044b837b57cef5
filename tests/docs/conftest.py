"""What stands for a reader's data, and how the printed numbers become small: the only differences from the print."""

import io
import tarfile

import pytest
from PIL import Image

SMALLER = {"batch_size=256": "batch_size=8"}
"""Replaced in the printed code, besides ``/data/``."""


@pytest.fixture(scope="session")
def data(tmp_path_factory, photos):
    """In place of /data: imagenet/train and imagenet/val, 40 crops of photographs in 4 classes, and a webdataset."""
    root = tmp_path_factory.mktemp("data")
    with tarfile.open(root / "train-000.tar", "w") as tar:
        for number in range(40):
            buffer = io.BytesIO()
            Image.fromarray(photos[number % 2][8 * number :][:90, 10 * number :][:, :120]).save(buffer, "JPEG")
            jpeg = buffer.getvalue()
            for split in ("train", "val"):
                path = root / "imagenet" / split / "abcd"[number % 4] / f"{number:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(jpeg)
            for ending, content in {"jpg": jpeg, "cls": b"%d" % (number % 4)}.items():
                member = tarfile.TarInfo(f"{number:02d}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    (root / "train-000.tar").rename(root / "imagenet" / "train-000.tar")
    return root
