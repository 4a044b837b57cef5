"""What pack turns, and what is turned when the file itself is read, are the same files."""

import numpy as np
import pytest

from dali_cutmix.pack.encode import shrink
from pipelines import imagenet
from tests.helpers.crafted_images import NAME, XMP, app1, chunk, exif, jpeg, lossless, png, segment, webp

SIX = exif(6)
FILES = {
    **{f"orientation {turn}": jpeg(app1(exif(turn))) for turn in (0, 1, 3, 6, 8, 9)},
    "LONG": jpeg(app1(exif(6, ">", 4))),
    "BYTE": jpeg(app1(exif(6, "<", 1))),
    "a doubled name": jpeg(app1(NAME + SIX)),
    "XMP": jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
    "another magic number": jpeg(app1(SIX[:3] + b"+" + SIX[4:])),
    "cut off": jpeg(app1(SIX[:20])),
    "stray bytes": jpeg(b"\0", app1(SIX), at=0xDB),
    "PNG": png(chunk(b"eXIf", SIX)),
    "PNG, XMP": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
    "PNG, behind the pixels": png(behind=chunk(b"eXIf", SIX)),
    "WebP": webp(lossless(), (b"EXIF", SIX), flags=8),
    "WebP, XMP": webp(lossless(), (b"XMP ", XMP), flags=4),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("name", FILES)
def test_pack_turns_what_dali_turns(name, tmp_path):
    batches = []
    for folder, content in (("file", FILES[name]), ("packed", None)):
        path = tmp_path / folder / "class" / "image"
        path.parent.mkdir(parents=True)
        path = path.with_suffix(".jpg")
        path.write_bytes(content or shrink(tmp_path / "file" / "class" / "image.jpg", 500, 100))
        loader = imagenet.val(tmp_path / folder, size=8, resize=8, device="cpu", mean=0.0, std=1.0)
        batches += [images for images, _ in loader]
    file, packed = (np.asarray(batch).squeeze() for batch in batches)
    assert np.abs(file - packed).mean() < 6  # turned the other way, it would differ by more than 40
