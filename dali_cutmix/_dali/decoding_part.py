"""The part of a graph that reads and decodes, without what follows: it tells bad files from faults of the graph.

Uses DALI's private names, as ``pipeline_template`` does.
"""

import copy
from typing import Any

from nvidia.dali import Pipeline

from dali_cutmix._dali.pipeline_checkpoint import entries
from dali_cutmix._dali.pipeline_template import build


def decoding_part(template: Pipeline, reader: str) -> Pipeline:
    """Make a template of the operators that read the samples and decode their bytes as they were read.

        reader ─▶ read ─▶ inspect ─▶ decoder ─▶ resize ─▶ mix ─▶ normalize
        └──────────── the part ───────────┘

    A function that inspects the bytes belongs to it, with the one that mends those that it names
    (see :func:`dali_cutmix.ops.inspect_images`). Decoders keep their arguments, regions and random numbers. A decoder
    of bytes that another operator has changed is left out: what that makes of a good file says nothing about the file.

    Args:
        template: the whole graph, see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        reader: name of its reader, one of files.
    """
    intact: dict[str, Any] = {}
    inspected, halves, decoded, numbers = set[str](), set[str](), list[Any](), ""
    for operator in template._ops:  # each comes after those that it depends on
        kind = operator._op.schema_name
        inputs = [node.name for node in operator.inputs]
        outputs = {node.name for node in operator.outputs}
        first = inputs[0] if inputs else None
        if operator.name == reader:
            numbers = operator.outputs[1].name
        # A function of the samples' numbers reads records, or finds the paths of files.
        reads = operator.name == reader or (first == numbers and "PythonFunction" in kind)
        splits = kind.endswith("Split") and first in intact and inputs[1] in inspected
        mended = kind.endswith("Merge") and {*inputs[:2]} <= halves and inputs[2] in inspected
        if reads or mended or (first in intact and kind in ("Reshape", "io__file__Read")):
            intact[operator.outputs[0].name] = operator.outputs[0]
        elif first in intact and ("decoder" in kind.lower() or kind == "PeekImageShape"):
            decoded += operator.outputs
        elif first in intact and "PythonFunction" in kind:
            inspected |= outputs
        elif splits or (first in halves and "PythonFunction" in kind):
            halves |= outputs
    results = [*intact.values(), *decoded]
    needed, operators = {node.source.name for node in results}, list[Any]()
    for operator in reversed(template._ops):
        if operator.name in needed:
            operators.insert(0, operator)
            needed |= {node.source.name for node in operator.inputs}
    part = copy.copy(template)
    part._ops, part._graph_outputs, part._num_outputs = operators, results, len(results)
    part._setup_input_callbacks()
    return part


def part_checkpoint(part: Pipeline, checkpoint: bytes) -> bytes:
    """Convert a checkpoint of a graph to one of a part of it."""
    whole = dict(entries(checkpoint))
    return b"".join(whole.get(name, entry) for name, entry in entries(build(part).checkpoint()))
