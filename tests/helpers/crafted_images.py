"""Image files built byte by byte, with EXIF blocks, chunks and segments that no library writes, and their decoders."""

import io
import struct
import zlib

import numpy as np
from nvidia.dali import fn, pipeline_def, types
from PIL import Image

HEIGHT, WIDTH = 13, 17
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
PIXELS = np.stack([_X * 14, _Y * 18, (_X + _Y) * 8], -1).astype(np.uint8)
ALPHA = (_X * _Y % 256).astype(np.uint8)
NAME = b"Exif\0\0"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def saved(kind, mode="RGB", **options):
    """The bytes of the usual picture as Pillow saves it."""
    image = Image.fromarray(PIXELS)
    if mode in ("LA", "RGBA"):
        image = image.convert(mode[:-1])
        image.putalpha(Image.fromarray(ALPHA))
    file = io.BytesIO()
    image.convert(mode).save(file, kind, **options)
    return file.getvalue()


def jpeg(*inserted, at=2, **options):
    """A JPEG with bytes inserted behind its start, or at a marker such as ``0xC0``."""
    plain = saved("JPEG", quality=95, subsampling=0, **options)
    place = at if at == 2 else plain.index(bytes([0xFF, at]))
    return plain[:place] + b"".join(inserted) + plain[place:]


def segment(marker, content):
    """A JPEG's segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(orientation, order=">", kind=3, count=1, before=()):
    """An EXIF block, from the byte order on, with ``before`` entries (tag, kind, count, value) in front."""
    value = struct.pack(f"{order}HH", orientation, 0) if kind == 3 else struct.pack(f"{order}I", orientation)
    entries = [struct.pack(f"{order}HHII", *entry) for entry in before]
    entries.append(struct.pack(f"{order}HHI", 0x0112, kind, count) + value)
    start = b"MM\0*" if order == ">" else b"II*\0"
    return start + struct.pack(f"{order}IH", 8, len(entries)) + b"".join(entries) + bytes(4)


def app1(content):
    """A JPEG's segment with an EXIF block."""
    return segment(0xE1, NAME + content)


def chunk(name, content):
    """A PNG's chunk."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(before=b"", behind=b""):
    """A PNG with chunks before and behind its pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + behind + chunk(b"IEND", b"")


def crashing_png():
    """An animated PNG whose second frame is too short: a file that ends the process of DALI's decoder, every time."""
    frame = chunk(b"fcTL", struct.pack(">5I2H2B", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0))
    return png(chunk(b"acTL", struct.pack(">II", 2, 0)), frame + chunk(b"fdAT", bytes(3)))


def webp(*chunks, flags=0, size=(HEIGHT, WIDTH)):
    """An extended WebP of chunks (name, content)."""
    sides = (size[1] - 1).to_bytes(3, "little") + (size[0] - 1).to_bytes(3, "little")
    parts = [(b"VP8X", bytes([flags, 0, 0, 0]) + sides), *chunks]
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for name, content in parts
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lossless():
    """The chunk ``VP8L`` of the usual picture: (name, content)."""
    plain = saved("WEBP", lossless=True)
    (length,) = struct.unpack_from("<I", plain, 16)
    return b"VP8L", plain[20 : 20 + length]


def bmp(bits, rows, palette=b"", *, compression=0, masks=b"", size=40, top_down=False, colours=None):
    """A BMP of the usual size; each row is padded to whole words."""
    data = b"".join(row + bytes(-len(row) % 4) for row in (rows if top_down else rows[::-1]))
    height = -HEIGHT if top_down else HEIGHT
    if size == 12:
        head = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        used = len(palette) // 4 if colours is None else colours
        head = struct.pack("<IiiHHIIiiII", size, WIDTH, height, 1, bits, compression, len(data), 1, 1, used, 0)
        head += masks + bytes(size - 40 - len(masks) if size > 40 else 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + palette + data


def decoded(images):
    """What DALI's CPU decoder makes of encoded images, RGB; it must take them all."""

    @pipeline_def(batch_size=len(images), num_threads=2, device_id=None)
    def graph():
        encoded = fn.external_source(source=[[np.frombuffer(image, np.uint8) for image in images]])
        return fn.decoders.image(encoded, output_type=types.RGB, jpeg_fancy_upsampling=True)

    (batch,) = graph().run()
    return [np.array(batch[number]) for number in range(len(images))]


def by_pillow(image):
    """What Pillow makes of an encoded image, RGB, of 16 bits the upper 8; not turned."""
    with Image.open(io.BytesIO(image)) as opened:
        if opened.mode.startswith("I"):
            return np.repeat((np.asarray(opened) >> 8).astype(np.uint8)[:, :, None], 3, 2)
        return np.asarray(opened.convert("RGB"))
