"""Claim: one pipeline belongs to one loader, because the loader switches the mixes that its graph reads."""

import weakref
from typing import Any

from nvidia.dali import Pipeline

from dali_cutmix.ops import Notes, notes

_users: weakref.WeakKeyDictionary[Pipeline, weakref.ref[Any]] = weakref.WeakKeyDictionary()


def unclaimed(pipeline: Any) -> Notes:
    """The notes about a pipeline that no loader has yet.

    Raises:
        ValueError: it is no pipeline, or another loader has it.
    """
    if not isinstance(pipeline, Pipeline):
        name = getattr(pipeline, "__name__", None)
        fix = f"call the function first: dc.Loader({name}())" if name and callable(pipeline) else "dc.Loader(graph())"
        raise ValueError(
            f"Loader: pipeline={pipeline!r} given; allowed is a DALI pipeline, as a function decorated with "
            f"@pipeline_def returns it: {fix}."
        )
    if pipeline in _users and _users[pipeline]() is not None:
        raise ValueError(
            "Loader: a pipeline given that another Loader has; two would switch each other's mixes. Give each its own: "
            "call the function decorated with @pipeline_def again."
        )
    return notes(pipeline)


def claim(pipeline: Pipeline, user: object) -> None:
    """Let a pipeline belong to a loader, as long as ``user`` lives."""
    _users[pipeline] = weakref.ref(user)
