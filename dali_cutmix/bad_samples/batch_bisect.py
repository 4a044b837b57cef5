"""Culprits: samples that make a batch fail though each of them decodes on its own, found by running the batch."""

from collections.abc import Mapping

import numpy as np
from nvidia.dali import Pipeline

from dali_cutmix._dali import pipeline_template
from dali_cutmix.sources import READER, Source


def culprits(source: Source, template: Pipeline, checkpoint: bytes, substitutes: Mapping[int, int]) -> dict[int, str]:
    """Numbers of the samples without which the batch after ``checkpoint`` runs, and why; none where none helps.

    A damaged file may decode as a whole and not in part, and a decoder may refuse what another takes. So the batch
    itself is run, again and again, with half of its samples replaced by one that is good.
    """
    reader = pipeline_template.build_reader(source.numbers(template.max_batch_size), checkpoint, READER)
    places = sorted({np.asarray(number).item() for number in reader.run()[0]})
    reasons: dict[int, str] = {}

    def fails(suspects: list[int], good: int) -> str | None:
        source.substitute({**substitutes, **dict.fromkeys(set(places) - set(suspects), good)})
        try:
            pipeline_template.build(template, checkpoint).run()
        except RuntimeError as error:
            return short(error)
        return None

    def search(suspects: list[int], good: int) -> None:
        reason = fails(suspects, good)
        if reason and len(suspects) == 1:
            reasons[substitutes.get(suspects[0], suspects[0])] = f"it fails in its batch: {reason}"
        elif reason:
            half = len(suspects) // 2
            search(suspects[:half], good)
            search(suspects[half:], good)

    try:
        samples = (substitutes.get(place, place) for place in places)
        good = next((sample for sample in samples if fails([], sample) is None), None)
        if good is not None:
            search(places, good)
    finally:
        source.substitute(dict(substitutes))
    return reasons


def short(error: RuntimeError) -> str:
    """The line of DALI's message that says most."""
    _, _, encountered = str(error).rpartition("encountered:")
    return next((line.strip() for line in encountered.splitlines() if line.strip()), str(error))
