"""Images written to files."""

from PIL import Image


def save(image, path, **options):
    """Write an image below a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **{"quality": 95} | options)
