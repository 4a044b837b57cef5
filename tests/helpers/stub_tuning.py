"""python -m bench tune without measuring: a function in the place of the processes."""

from bench.tune import command

SMALL = ["--size", "32", "--batch-size", "4", "--device", "cpu"]


def stub(monkeypatch, speed):
    """Rows as ``measure_in_rounds`` gives them, without a process: ``speed`` is a function of the arguments."""
    labels = []

    def measure(contenders, settings, seconds, rounds, budget):
        rows, failed = [], []
        for contender in contenders:
            labels.append(contender.label)
            rate = speed(dict(contender.arguments))
            if rate is None:
                failed.append({"name": contender.name, "label": contender.label, "reason": "failed: no memory"})
                continue
            part = {"images_per_second": rate, "cores_elsewhere": 0.0}
            rows.append({"name": contender.name, "rounds": [part] * rounds})
        return rows, failed

    monkeypatch.setattr(command, "measure_in_rounds", measure)
    monkeypatch.setattr(command, "usable_cores", lambda: 2)
    return labels
