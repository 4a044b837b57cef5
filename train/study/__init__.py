"""The paper's comparison: None, Mixup, Cutout and CutMix, trained and evaluated in the same way, in one report.

The way of ``python -m train study``::

    command ──▶ options ──▶ plan ───────────────▶ jobs ──────────────────▶ results ──▶ tables ──▶ report
                            trainings of methods   steps as processes,      mean ± std              report.html
                            and seeds, as steps    several at once          over seeds              results.json

`transfer` adds the fine-tuning of detectors and captioners, `published` holds the paper's numbers.
"""
