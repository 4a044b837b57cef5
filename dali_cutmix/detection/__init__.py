"""Images with objects or captions: annotations in one form, and the verbs of a graph that carry boxes and labels along.

    VOC, COCO, … ──annotate──▶ Annotated
    Annotated ──read_images──▶ JPEGs, numbers
    JPEGs ──decode──▶ images, sides ──resize, flip_all──▶ images
    numbers ──objects_of──▶ boxes, labels ──flip_all, in_pixels, pad_objects──▶ boxes, labels

Boxes are ``x1, y1, x2, y2``. In ``Annotated`` they are in pixels of the file; ``objects_of`` gives them as fractions of
the image's width and height, so that resizing leaves them as they are; ``in_pixels`` converts them at the end.
``pipelines/ssd.py`` and ``pipelines/faster_rcnn.py`` are complete graphs.
"""

from dali_cutmix.detection.annotations import (
    Annotated,
    Box,
    Captioned,
    Entry,
    Object,
    Size,
    annotate,
    check_exists,
    cut_to_image,
)
from dali_cutmix.detection.ops import decode, flip_all, in_pixels, objects_of, pad_objects, read_images, resize

__all__ = [
    "Annotated",
    "Box",
    "Captioned",
    "Entry",
    "Object",
    "Size",
    "annotate",
    "check_exists",
    "cut_to_image",
    "decode",
    "flip_all",
    "in_pixels",
    "objects_of",
    "pad_objects",
    "read_images",
    "resize",
]
