"""Find samples that make a batch fail although each of them decodes on its own, by running the batch."""

from collections.abc import Mapping

import numpy as np
from nvidia.dali import Pipeline

from dali_cutmix._dali import pipeline_template
from dali_cutmix.sources import READER, Source


def bisect_failing_batch(
    source: Source, template: Pipeline, checkpoint: bytes, substitutes: Mapping[int, int]
) -> dict[int, str]:
    """Find the samples without which a failing batch runs.

    A damaged file may decode as a whole and not in part, and one decoder may refuse what another accepts. So the batch
    itself is run again and again, with half of its samples replaced by a good one.

    Args:
        source: what is read.
        template: the graph, see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        checkpoint: the pipeline's state before the batch.
        substitutes: samples that are read in place of others.

    Returns:
        Number of each such sample, and the reason; empty where no sample makes the difference.
    """
    reader = pipeline_template.build_reader(source.numbers_pipeline(template.max_batch_size), checkpoint, READER)
    places = sorted({np.asarray(number).item() for number in reader.run()[0]})
    reasons: dict[int, str] = {}

    def failure(suspects: list[int], good: int) -> str | None:
        """Why the batch fails with these of its samples, the others replaced by a good one; None where it runs."""
        source.substitute({**substitutes, **dict.fromkeys(set(places) - set(suspects), good)})
        try:
            pipeline_template.build(template, checkpoint).run()
        except RuntimeError as error:
            return short_reason(error)
        return None

    def search(suspects: list[int], good: int) -> None:
        reason = failure(suspects, good)
        if reason and len(suspects) == 1:
            reasons[substitutes.get(suspects[0], suspects[0])] = f"it fails in its batch: {reason}"
        elif reason:
            half = len(suspects) // 2
            search(suspects[:half], good)
            search(suspects[half:], good)

    try:
        samples = (substitutes.get(place, place) for place in places)
        good = next((sample for sample in samples if failure([], sample) is None), None)
        if good is not None:
            search(places, good)
    finally:
        source.substitute(dict(substitutes))
    return reasons


def short_reason(error: RuntimeError) -> str:
    """The most informative line of DALI's message."""
    _, _, encountered = str(error).rpartition("encountered:")
    return next((line.strip() for line in encountered.splitlines() if line.strip()), str(error))
