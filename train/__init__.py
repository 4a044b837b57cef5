"""The trainer: ``python -m train [RECIPE] [--options]``, then ``python -m train.evaluate CHECKPOINT``.

The way of a training run through the packages::

    recipes ──▶ cli ──▶ config ──▶ launch.start ──▶ engine.Run ──▶ engine.fit ──▶ metrics.csv, last.pt, best.pt
    defaults    options  frozen        │                ▲             │
                                       │ makes          │ holds       │ each step: batch → loss → update
                                       ▼                │             ▼
                       tasks (classification, detection, captioning): loaders of pipelines/, models, loss, metrics

`evaluation` measures checkpoints, `study` trains and evaluates the paper's four methods and writes a report.
"""
