"""Transfer to image captioning: NIC on the backbone of a classifier (paper, D)."""
