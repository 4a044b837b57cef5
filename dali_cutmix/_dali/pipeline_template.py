"""Live pipelines from an unbuilt template. It uses DALI's private names, as ``graph_nodes``, ``external_sources`` do.

A DALI pipeline takes a checkpoint only while it is built, and a built one cannot go back. So the Loader keeps the graph
as it was defined, never builds that one, and makes every live pipeline from a copy of it.
"""

import copy

from nvidia.dali import Pipeline

from dali_cutmix._dali.external_sources import check_external_sources, separate_external_sources
from dali_cutmix._dali.pipeline_checkpoint import entries
from dali_cutmix._dali.pipeline_shutdown import build_with_shutdown


def as_template(pipeline: Pipeline) -> Pipeline:
    """Prepare a pipeline that is not built yet as a template, with checkpoints switched on.

    Raises:
        ValueError: the pipeline has been built already, or takes data from Python that cannot be continued.
    """
    if pipeline._built:
        raise ValueError(
            "Loader: the pipeline has been built or run already; give it as the function decorated with @pipeline_def "
            "returns it."
        )
    # Always on: with it off, DALI shuffles the second and later epochs in another order.
    pipeline._enable_checkpointing = True
    if not pipeline._py_graph_built:
        pipeline._build_graph()
    check_external_sources(pipeline)
    return pipeline


def build(template: Pipeline, checkpoint: bytes | None = None) -> Pipeline:
    """Build a new pipeline that begins at the start, or where ``checkpoint`` was taken."""
    pipeline = copy.copy(template)
    pipeline._checkpoint = checkpoint
    separate_external_sources(pipeline)
    build_with_shutdown(pipeline)
    return pipeline


def build_reader(pipeline: Pipeline, checkpoint: bytes, reader: str) -> Pipeline:
    """Build a pipeline that begins where the reader of another one was when a checkpoint was taken.

    Args:
        pipeline: not built yet; it has the same reader.
        checkpoint: of the other pipeline.
        reader: name of the reader.
    """
    template = as_template(pipeline)
    fresh = build(template).checkpoint()
    parts = [entry for name, entry in entries(fresh) if name not in (None, reader)]
    parts += [entry for name, entry in entries(checkpoint) if name in (None, reader)]
    return build(template, b"".join(parts))
