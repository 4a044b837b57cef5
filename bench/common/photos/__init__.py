"""The images to measure with, as a folder with one subfolder for each class.

::

    --data, or sample photographs ──▶ PhotoFolder ──▶ long_epoch: links, so that an epoch is as long as a real one
                                                 └──▶ pack_photos: shards of smaller images ──▶ as_files: their JPEGs
"""

from bench.common.photos.packed_photos import as_files, pack_photos
from bench.common.photos.photo_folder import PhotoFolder, digest, long_epoch, open_photos
from bench.common.photos.sample_photos import make_sample_photos

__all__ = ["PhotoFolder", "as_files", "digest", "long_epoch", "make_sample_photos", "open_photos", "pack_photos"]
