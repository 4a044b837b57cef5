"""Find samples that do not decode as their graph decodes them, although each of them decodes on its own."""

from collections.abc import Mapping

import numpy as np
from nvidia.dali import Pipeline

from dali_cutmix._dali import decoding_part, part_checkpoint, pipeline_template
from dali_cutmix.bad_samples.failed_operator import is_about_samples, is_about_storage, short_reason
from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.bad_samples.storage import StorageError
from dali_cutmix.sources import READER, Source


def bisect_failing_batch(
    source: Source, template: Pipeline, checkpoint: bytes, substitutes: Mapping[int, int]
) -> dict[int, Fault]:
    """Find the samples without which a failing batch is read and decoded.

    A damaged file may decode as a whole and not in part, and one decoder may refuse what another accepts. So the part
    of the graph that reads and decodes runs the batch again and again, with half of its samples replaced by a good one.
    What follows in the graph has no say: a fault of it is no sample's.

    Args:
        source: what is read.
        template: the graph, see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        checkpoint: the pipeline's state before the batch.
        substitutes: samples that are read in place of others.

    Returns:
        Number of each such sample, and what is wrong with it; empty where no sample makes the difference.

    Raises:
        StorageError: samples cannot be read.
    """
    reader = pipeline_template.build_reader(source.numbers_pipeline(template.max_batch_size), checkpoint, READER)
    part = decoding_part(template, READER)
    start = part_checkpoint(part, checkpoint)
    places = sorted({np.asarray(number).item() for number in reader.run()[0]})
    faults: dict[int, Fault] = {}

    def failure(suspects: list[int], good: int) -> str | None:
        """Why the batch fails with these of its samples, the others replaced by a good one; None where it runs."""
        source.substitute({**substitutes, **dict.fromkeys(set(places) - set(suspects), good)})
        try:
            pipeline_template.build(part, start).run()
        except RuntimeError as error:
            if is_about_storage(error):
                raise StorageError(f"{short_reason(error)}.", {}) from error
            return short_reason(error) if is_about_samples(error) else None
        return None

    def search(suspects: list[int], good: int) -> None:
        reason = failure(suspects, good)
        if reason and len(suspects) == 1:
            sample = substitutes.get(suspects[0], suspects[0])
            faults[sample] = Fault("damaged", f"it fails in its batch: {reason}")
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
    return faults
