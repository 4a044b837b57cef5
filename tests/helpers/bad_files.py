"""Writers of files that cannot be decoded, and of rare ones that can: one function for each kind."""

import io
from functools import cache

import numpy as np
from PIL import Image


@cache
def photo() -> bytes:
    """A JPEG of noise and shapes, 96×80."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 96)[None, :, None] * np.ones((80, 1, 3))
    pixels = np.clip(ramp + rng.normal(0, 30, ramp.shape), 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG", quality=90)


def encoded(image: Image.Image, form: str, **options) -> bytes:
    """The bytes of an image in a format."""
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return stream.getvalue()


def _image() -> Image.Image:
    return Image.open(io.BytesIO(photo()))


@cache
def _bomb() -> bytes:
    """20000×20000 pixels in 0.4 MB; decoded 1.2 GB."""
    return encoded(Image.new("RGB", (20000, 20000)), "JPEG", quality=10)


def _loop(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def _nowhere(path):
    path.unlink(missing_ok=True)
    path.symlink_to("nowhere")


def _folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"\xff"),
    "text": lambda path: path.write_text("this is no picture\n" * 20),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "GIF": lambda path: path.write_bytes(encoded(Image.new("RGB", (20, 20)), "GIF")),
    "header": lambda path: path.write_bytes(photo()[:40]),
    "data": lambda path: path.write_bytes(photo()[: len(photo()) // 3]),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(4000)),
    "bomb": lambda path: path.write_bytes(_bomb()),
    "link to itself": _loop,
    "link to nowhere": _nowhere,
    "folder": _folder,
}


def _flipped(path):
    """Bits in the compressed data: it decodes, to other pixels."""
    content = bytearray(photo())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path.write_bytes(encoded(_image(), "JPEG", exif=exif))


GOOD = {
    "flipped bits": _flipped,
    "CMYK": lambda path: path.write_bytes(encoded(_image().convert("CMYK"), "JPEG")),
    "gray": lambda path: path.write_bytes(encoded(_image().convert("L"), "JPEG")),
    "progressive": lambda path: path.write_bytes(encoded(_image(), "JPEG", progressive=True)),
    "16-bit PNG": lambda path: path.write_bytes(
        encoded(Image.fromarray(np.linspace(0, 65535, 900).reshape(30, 30).astype(np.uint16)), "PNG")
    ),
    "turned by EXIF": _turned,
    "1×1": lambda path: path.write_bytes(encoded(Image.new("RGB", (1, 1)), "JPEG")),
}
