"""What a graph decodes: formats told by the first bytes, files with stray bytes, nothing that would end the process."""

import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers import ROOT, tally
from tests.helpers.bad_files import photo
from tests.helpers.crafted_images import app1, bmp, by_pillow, chunk, exif, jpeg, png, saved, segment

ACTL = chunk(b"acTL", bytes([0, 0, 0, 2, 0, 0, 0, 0]))
HOSTILE = {
    "APNG": png(ACTL, chunk(b"fcTL", bytes([*bytes(7), 17, 0, 0, 0, 13, *bytes(14)])) + chunk(b"fdAT", b"\0\0\0")),
    "two orientations": jpeg(app1(exif(6)), app1(exif(3))),
    "an orientation that one decoder reads": jpeg(segment(0xE1, b"Exif\0\xff" + exif(6)), app1(exif(3))),
    "two orientations of a PNG": png(chunk(b"eXIf", exif(6)), chunk(b"eXIf", exif(1))),
    "a PNG's EXIF with a wrong checksum": png(chunk(b"eXIf", exif(6))[:-1] + b"\0"),
    "EXIF of a negative length": jpeg(b"\xff\xe1\0\7Exif\0\0"),
    "BMP of 16 bits": bmp(16, [bytes(34)] * 13),
    "TIFF of 32 bits": saved("TIFF", "I"),
    "TIFF of 1 bit": saved("TIFF", "1"),
    "JPEG 2000, cut off": saved("JPEG2000")[:-60],
}
"""Files with which DALI 2.4 ends the process, overwrites memory or races."""

PROGRAM = """
import json, sys
from pipelines import imagenet
root, log = sys.argv[1:]
how = {"batch_size": 4, "size": 16, "device": "cpu", "on_error": "replace", "max_bad": 0.9}
how |= {"formats": ("jpeg", "png", "webp", "bmp", "pnm", "tiff", "jpeg2000")}
loaders = [
    imagenet.train(root, decode="region", bad_log=log + "0", **how),
    imagenet.train(root, decode="whole", bad_log=log + "1", **how),
    imagenet.val(root, resize=16, bad_log=log + "2", **how),
]
print(json.dumps([sum(len(batch[0]) for batch in loader) for loader in loaders]))
"""


def test_no_file_ends_the_run(tmp_path):
    """Each is replaced and logged with its reason, even where all formats are allowed; no good file is."""
    root, log = tmp_path / "data" / "a", tmp_path / "bad"
    root.mkdir(parents=True)
    for number, content in enumerate(HOSTILE.values()):
        (root / f"{number:02d} hostile.jpg").write_bytes(content)
    for number in range(10):
        (root / f"{number:02d} good.jpg").write_bytes(photo())
    command = [sys.executable, "-c", PROGRAM, str(root.parent), str(log)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [20, 20, 20]
    for number in range(3):
        logged = [json.loads(line) for line in Path(f"{log}{number}").read_text().splitlines()]
        assert len(logged) == len(HOSTILE)
        assert all("hostile" in entry["path"] for entry in logged)
    tally.count("bad", 3 * len(HOSTILE))


def folder(path, *contents):
    (path / "a").mkdir(parents=True)
    for number, content in enumerate(contents):
        (path / "a" / f"{number}.jpg").write_bytes(content)
    return path


KINDS = {
    "train": partial(imagenet.train, batch_size=1, size=8),
    "unfused": partial(imagenet.train, batch_size=1, size=8, fused=False),
    "val": partial(imagenet.val, batch_size=1, size=8, resize=8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_allowed_formats_are_decoded_whatever_a_file_is_called(kind, tmp_path):
    root = folder(tmp_path, saved("TIFF"))
    with pytest.raises(
        dc.DecodeError, match=r"0\.jpg \(a TIFF, and jpeg, png, webp, bmp, pnm are decoded here: allow it"
    ):
        next(iter(KINDS[kind](root, device="cpu")))
    assert len(next(iter(KINDS[kind](root, device="cpu", formats=("tiff",))))[0]) == 1
    with pytest.raises(dc.DecodeError, match=r"0\.jpg \(a TIFF, and png are decoded here"):
        next(iter(KINDS[kind](root, device="cpu", formats=["png"])))


def test_an_image_that_is_not_supported_names_the_way_out(tmp_path):
    with pytest.raises(dc.DecodeError, match=r"0\.jpg \(an animated PNG, which is not supported here: convert it with"):
        next(iter(imagenet.val(folder(tmp_path, HOSTILE["APNG"]), size=8, resize=8, device="cpu")))


def test_wrong_formats_are_refused_at_once(tmp_path):
    root = folder(tmp_path, photo())
    for make in KINDS.values():
        with pytest.raises(ValueError, match=r"formats='jpeg' given; allowed is a tuple of"):
            make(root, device="cpu", formats="jpeg")


@pytest.mark.parametrize("marker", [0xDB, 0xC0, 0xC4])
@pytest.mark.parametrize("stray", [b"\xff\0\0\0", b"\0", b"rubbish"])
def test_a_jpeg_with_stray_bytes_between_its_segments_is_decoded(marker, stray, tmp_path):
    """105 of 1,286 JPEGs in public corpora have some; Pillow and torchvision take them."""
    content = jpeg(stray, at=marker)
    loader = imagenet.val(folder(tmp_path, content), size=13, resize=13, device="cpu", mean=0.0, std=1.0)
    ((images, _),) = loader
    np.testing.assert_array_equal(images[0].permute(1, 2, 0).numpy(), by_pillow(content)[:, 2:15])


def test_such_jpegs_beside_others_keep_their_order(tmp_path):
    contents = [photo(), jpeg(b"\0\0", at=0xC0), photo(), jpeg(b"\0", app1(exif(6)), at=0xDB), photo()]
    loader = imagenet.val(folder(tmp_path, *contents), batch_size=5, size=8, resize=8, device="cpu")
    alone = [
        next(iter(imagenet.val(folder(tmp_path / str(number), content), size=8, resize=8, device="cpu")))[0][0]
        for number, content in enumerate(contents)
    ]
    ((images, _),) = loader
    np.testing.assert_array_equal(images.numpy(), np.stack(alone))


MEASURE = """
import resource, sys
from pipelines import imagenet
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
how = {"batch_size": 2, "device": "cpu", "num_threads": 1}
loaders = [
    imagenet.val(sys.argv[1], **how),
    imagenet.val(sys.argv[1], stretch=True, **how),
    imagenet.train(sys.argv[1], **how),
    imagenet.train(sys.argv[1], decode="whole", fused=False, **how),
]
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10
before = peak()
for loader in loaders:
    next(iter(loader))
print(peak() - before)
"""


def test_long_thin_images_take_no_memory(tmp_path):
    """1×65500 pixels, enlarged before it is cropped, would take 13 GB."""
    contents = []
    for size in [(1, 65500), (65500, 1)]:
        file = io.BytesIO()
        Image.new("RGB", size).save(file, "JPEG")
        contents.append(file.getvalue())
    command = [sys.executable, "-c", MEASURE, str(folder(tmp_path, *contents))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 400  # MB, of which most is DALI's own
