"""Small folders in the layouts of VOC and of COCO."""

import json
from pathlib import Path

from PIL import Image

from tests.helpers.images import save

XML = """<annotation>
\t<folder>{folder}</folder>
\t<filename>{name}</filename>
\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}
</annotation>
"""
OBJECT = """\t<object>
\t\t<name>{name}</name>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
\t\t<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2.5</ymax></bndbox></part>
\t</object>"""


def write_voc(year: Path, part: str, images: dict[str, list[tuple]], size: tuple[int, int] = (60, 40)) -> Path:
    """A list of a VOC… folder with its images and annotations.

    Args:
        images: for each name a list of (class, xmin, ymin, xmax, ymax, difficult).
        size: width and height of the images.
    """
    lists, annotations = year / "ImageSets" / "Main", year / "Annotations"
    for folder in (lists, annotations):
        folder.mkdir(parents=True, exist_ok=True)
    for number, (name, objects) in enumerate(images.items()):
        save(Image.new("RGB", size, (number * 20, 50, 90)), year / "JPEGImages" / f"{name}.jpg")
        text = "\n".join(OBJECT.format(name=one[0], box=one[1:5], difficult=one[5]) for one in objects)
        content = XML.format(folder=year.name, name=f"{name}.jpg", width=size[0], height=size[1], objects=text)
        (annotations / f"{name}.xml").write_text(content)
    (lists / f"{part}.txt").write_text("".join(f"{name}\n" for name in images))
    return year


def make_voc(root: Path) -> Path:
    """A VOCdevkit of 2007 and 2012."""
    dog, cat = ("dog", 1, 1, 60, 40, 0), ("cat", 5, 6, 5, 6, 0)
    write_voc(root / "VOC2007", "trainval", {"000005": [dog, cat], "000007": [("dog", 2, 3, 20, 30, 1)]})
    write_voc(root / "VOC2007", "test", {"000001": [("person", 8, 9, 30, 31, 0)], "000002": []})
    write_voc(root / "VOC2012", "trainval", {"2008_000002": [("tvmonitor", 10.7, 20, 30.2, 40, 0)]})
    return root


def write_coco(root: Path, name: str, content: dict, kind: str = "instances") -> Path:
    """``annotations/<kind>_<name>.json`` and the images that it names."""
    file = root / "annotations" / f"{kind}_{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    for image in content["images"]:
        save(
            Image.new("RGB", (image["width"], image["height"]), (90, 50, image["id"])), root / name / image["file_name"]
        )
    return file


def coco_content() -> dict:
    """Three images, one without objects; two classes whose ids are not in a row."""
    images = [
        {"id": number, "file_name": f"{number:012d}.jpg", "width": 60 + number, "height": 40} for number in (9, 25, 30)
    ]
    boxes = [(25, 18, [1.5, 2.25, 10, 20.5], 0), (9, 3, [0, 0, 69.01, 40], 0), (25, 3, [30, 10, 5, 6], 1)]
    annotations = [
        {"id": 100 + number, "image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd, "area": 50.0}
        for number, (image, category, box, crowd) in enumerate(boxes)
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def caption_content() -> dict:
    """The same images with three captions."""
    captions = [(30, " A dog.\n"), (9, "A car"), (30, "A brown dog")]
    annotations = [
        {"id": number, "image_id": image, "caption": caption} for number, (image, caption) in enumerate(captions)
    ]
    return {"images": coco_content()["images"], "annotations": annotations}
