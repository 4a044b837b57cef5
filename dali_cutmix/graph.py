"""What the verbs note down about the graph under construction, for its ``Loader`` and for each other."""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from nvidia.dali import Pipeline


@dataclass(frozen=True)
class Source:
    """Where the samples of a graph come from.

    ``files`` and ``labels`` have one entry for each sample of all shards; ``seed`` is None where nothing shuffles.
    """

    files: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    shard: tuple[int, int]
    seed: int | None
    digest: str


@dataclass
class Notes:
    """One graph's notes; whatever a graph does not use stays None."""

    source: Source | None = None
    jpegs: Any = None
    mixing: Any = None
    holes: Any = None
    dtype: Any = None


_notes: WeakKeyDictionary[Pipeline, Notes] = WeakKeyDictionary()


def notes(pipeline: Pipeline | None = None) -> Notes:
    """The notes of a pipeline; by default of the one under construction.

    Raises:
        RuntimeError: a verb was called outside a graph.
    """
    pipeline = pipeline or Pipeline.current()
    if pipeline is None:
        raise RuntimeError(
            "The verbs of dali_cutmix build a DALI graph: call them inside a function decorated with "
            "@nvidia.dali.pipeline_def, or use pipelines that do (pipelines/imagenet.py)."
        )
    return _notes.setdefault(pipeline, Notes())


def graph_device() -> str:
    """``"gpu"`` when the graph under construction has a ``device_id``, else ``"cpu"``."""
    notes()
    return "cpu" if Pipeline.current().device_id is None else "gpu"
