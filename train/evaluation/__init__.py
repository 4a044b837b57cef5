"""Evaluators: each measures a checkpoint in one respect, as a command of its own (``python -m train.evaluate NAME``).

Each evaluator's module has its options, an ``evaluate`` function and a report, put together as an `Evaluator`::

    checkpoint ── trained_model ──▶ evaluate(options, ranks) ──▶ report ──▶ table on the terminal
    --data     ── open_data ──────▶     on all processes       on the first  CHECKPOINT.NAME.json, .csv, .png

    NAME            measures                            module          with
    eval            top-1, top-5, loss                  accuracy
    robustness      FGSM, occlusion, in-between images  robustness      perturbations
    uncertainty     out-of-distribution detection       uncertainty     ood_scores
    localization    boxes from class activation maps    localization    cam, cam_boxes
    all             the four above                      all
    detection       mAP of a detector                   detection
    captioning      BLEU, METEOR, … of a captioner      captioning

Importing this package imports no evaluator, since some need libraries that are slow to import (OpenCV, matplotlib).
`preconditions` checks whether an evaluation is possible before hours of training precede it.
"""

from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.preconditions import localization_problem, parse_ood_sets
from train.evaluation.trained_model import Trained, open_data, open_trained

__all__ = [
    "Evaluator",
    "EvaluatorOptions",
    "Report",
    "Trained",
    "localization_problem",
    "open_data",
    "open_trained",
    "parse_ood_sets",
]
