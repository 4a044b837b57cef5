"""Live pipelines from one unbuilt template. The only place that touches DALI's private names.

A DALI pipeline takes a checkpoint only while it is built, and a built one cannot be wound back. So the Loader keeps
the graph as it was defined, never builds that one, and makes every live pipeline from it.
"""

import copy
import weakref
from typing import Any

from nvidia.dali import Pipeline


def as_template(pipeline: Pipeline) -> Pipeline:
    """Prepare a defined, not yet built pipeline as a template, with checkpoints switched on.

    Raises:
        ValueError: the pipeline has been built already.
    """
    if pipeline._built:
        raise ValueError(
            "Loader: the pipeline has been built or run already; give it as the function decorated with @pipeline_def "
            "returns it."
        )
    # Always on: with it off, DALI shuffles the second and later epochs in another order.
    pipeline._enable_checkpointing = True
    pipeline.start_py_workers()
    return pipeline


def build(template: Pipeline, checkpoint: bytes | None = None) -> Pipeline:
    """A built pipeline of its own, at the start or where ``checkpoint`` was taken."""
    pipeline = copy.copy(template)
    pipeline._checkpoint = checkpoint
    # What Pipeline.__init__ does: else its threads still call Python while the interpreter is torn down at exit.
    Pipeline._pipes.add(weakref.ref(pipeline))
    pipeline.build()
    return pipeline


def build_part(template: Pipeline, output: Any, checkpoint: bytes, keep: str) -> Pipeline:
    """A built pipeline that computes only ``output``, with the state of the one operator ``keep``."""
    part = copy.copy(template)
    part._py_graph_built = False
    part.set_outputs(output)
    part.start_py_workers()
    return build(part, _only(checkpoint, keep))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _only(checkpoint: bytes, name: str) -> bytes:
    """Leave out of a checkpoint (a protobuf message, operators in field 1) every operator but one."""
    kept, at = b"", 0
    while at < len(checkpoint):
        start = at
        key, at = _varint(checkpoint, at)
        value, at = _varint(checkpoint, at)
        if key & 7 == 2:
            at += value
        is_operator = key == (1 << 3 | 2)
        if not is_operator or f"\n{chr(len(name))}{name}".encode() in checkpoint[start:at]:
            kept += checkpoint[start:at]
    return kept
