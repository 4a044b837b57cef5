"""After a decoding error: find the file that caused it. DALI names it in some cases only."""

from typing import Any

from nvidia.dali import Pipeline, fn, pipeline_def, types

from dali_cutmix import rebuild


class DecodeError(RuntimeError):
    """Files that cannot be decoded; the message has their paths."""


def name_bad_file(error: RuntimeError, template: Pipeline, jpegs: Any, reader: str, checkpoint: bytes) -> RuntimeError:
    """The error to raise instead of DALI's: with the path of every file of the failed batch that cannot be decoded.

    Args:
        error: what DALI raised.
        template: the graph, not built.
        jpegs: the reader's node of encoded bytes; None where the graph has a reader of its own.
        reader: its name.
        checkpoint: the pipeline's state before the failed batch.
    """
    if jpegs is None or not any(part in str(error) for part in ("decoders", "peek_image_shape", "readers")):
        return error
    try:
        encoded = rebuild.build_part(template, jpegs, checkpoint, keep=reader).run()[0]
        paths = sorted({encoded[i].source_info() for i in range(len(encoded))})
        bad = [path for path in paths if not _decodes(path)]
    except RuntimeError:  # the file cannot even be read: DALI's message has its path
        return error
    if not bad:
        return error
    return DecodeError(
        "cannot be decoded: " + ", ".join(bad) + ". Remove or replace the file; every other file of its batch is fine. "
        f"DALI says: {_short(error)}"
    )


def _decodes(path: str) -> bool:
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def one_file() -> Any:
        encoded, _ = fn.readers.file(files=[path])
        return fn.decoders.image(encoded, output_type=types.RGB)

    try:
        one_file().run()
    except RuntimeError:
        return False
    return True


def _short(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "ailed" in line or "failure" in line), lines[0])
