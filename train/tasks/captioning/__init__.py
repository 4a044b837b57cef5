"""Transfer to image captioning: NIC on the backbone of a classifier (paper, D).

The way of a caption::

    training     sentence ── tokenizer ──▶ words ── vocabulary ──▶ tokens ──▶ loss of task.Captioning
    evaluation   image ── Nic, beam_search ──▶ tokens ── vocabulary ──▶ sentence ── metrics, meteor ──▶ scores
"""

from train.tasks.captioning.data import open_captioned, val_loader
from train.tasks.captioning.metrics import caption_scores
from train.tasks.captioning.task import Captioning, build_captioner, write_captions
from train.tasks.captioning.vocabulary import Vocabulary

__all__ = [
    "Captioning",
    "Vocabulary",
    "build_captioner",
    "caption_scores",
    "open_captioned",
    "val_loader",
    "write_captions",
]
