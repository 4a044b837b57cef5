"""webdataset: tar files of samples.

train-000.tar ── tar_index ──▶ offset and size of each image and label ──▶ WebDataset ──▶ image
                                                                              └─ LabelMember ──▶ its number
"""

from dali_cutmix.sources.webdataset.dataset import WebDataset, tar_extensions
from dali_cutmix.sources.webdataset.label_member import LabelMember

__all__ = ["LabelMember", "WebDataset", "tar_extensions"]
