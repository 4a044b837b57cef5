"""Transfer to object detection: SSD and Faster R-CNN on the backbone of a classifier (paper, C)."""
