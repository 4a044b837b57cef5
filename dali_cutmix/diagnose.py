"""After a decoding error: find the sample that caused it. DALI names it in some cases only."""

from typing import Any

import numpy as np
from nvidia.dali import Pipeline, fn, pipeline_def, types

from dali_cutmix import rebuild
from dali_cutmix.graph import notes
from dali_cutmix.manifest import MEND
from dali_cutmix.shards import ShardSource


class DecodeError(RuntimeError):
    """Samples that cannot be decoded; the message has their paths, of a shard also the member."""


def name_bad_file(error: RuntimeError, template: Pipeline, jpegs: Any, reader: str, checkpoint: bytes) -> RuntimeError:
    """The error to raise instead of DALI's: with the path of every file of the failed batch that cannot be decoded.

    Args:
        error: what DALI raised.
        template: the graph, not built.
        jpegs: the reader's node of encoded bytes, of shards that of the samples' numbers; None where the graph has a
            reader of its own.
        reader: its name.
        checkpoint: the pipeline's state before the failed batch.
    """
    source = notes(template).source
    packed = source.shards if isinstance(source, ShardSource) else None
    parts = ("decoders", "peek_image_shape", "PythonFunction" if packed else "readers")
    if jpegs is None or not any(part in str(error) for part in parts):
        return error
    try:
        batch = rebuild.build_part(template, jpegs, checkpoint, keep=reader).run()[0]
        if packed:
            numbers = sorted({np.asarray(number).item() for number in batch})
            bad = [f"{packed.name(n)} (was {packed.packed_from(n)})" for n in numbers if not _decodes(packed.jpeg(n))]
        else:
            files = {encoded.source_info(): np.asarray(encoded) for encoded in batch}
            bad = [path for path, encoded in sorted(files.items()) if not _decodes(encoded)]
    except OSError as unreadable:
        return DecodeError(f"cannot be read: {unreadable}. {MEND}")
    except RuntimeError:  # the file cannot even be read: DALI's message has its path
        return error
    if not bad:
        return error
    mend = (
        "Repair that image in the folder that was packed, remove the shard and its .idx, and run the command that "
        "packed it again: it writes only what is missing"
        if packed
        else "Remove or replace the file"
    )
    return DecodeError(
        f"cannot be decoded: {', '.join(bad)}. {mend}; every other file of its batch is fine. DALI says: "
        f"{_short(error)}"
    )


def _decodes(encoded: np.ndarray) -> bool:
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def one_sample() -> Any:
        return fn.decoders.image(fn.external_source(source=[[encoded]]), output_type=types.RGB)

    try:
        one_sample().run()
    except RuntimeError:
        return False
    return True


def _short(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "ailed" in line or "failure" in line), lines[0])
