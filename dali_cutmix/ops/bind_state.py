"""Bind a loader's saved state to values of your own graph."""

from typing import Any

from dali_cutmix._dali import verb
from dali_cutmix.ops.graph_notes import notes


@verb
def bind_state(**values: Any) -> None:
    """Refuse to resume with other values: a saved state of the loader remembers them, and loads only where they agree.

    The verbs bind their own arguments. Call this in a graph for whatever else changes the batches.

    Args:
        values: numbers, strings, None, or tuples of these, by name. Names are free, except those that the ``Loader``
            uses itself.

    Raises:
        RuntimeError: it is called outside a graph.
        ValueError: a value of another type, or a name that is bound already to another value.

    Example:
        >>> from nvidia.dali import fn
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph(blur):
        ...     jpegs, labels = dc.read_folder("photos")
        ...     images = dc.random_resized_crop(jpegs, 64)
        ...     dc.bind_state(blur=blur)
        ...     return dc.normalize(fn.gaussian_blur(images, sigma=blur)), labels
        >>> saved = dc.Loader(graph(blur=0.5)).state_dict()
        >>> dc.Loader(graph(blur=2.0)).load_state_dict(saved)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: ... (blur: '0.5' saved, '2.0' here). Build the loader as it was when the state was saved.
    """
    bound = notes().bound
    for name, value in values.items():
        if not _is_plain(value):
            raise ValueError(
                f"bind_state: {name}={value!r} given; allowed are numbers, strings, None, and tuples of these."
            )
        if name in bound and repr(bound[name]) != repr(value):
            raise ValueError(
                f"bind_state: {name}={value!r} given, but it is bound to {bound[name]!r} already; use another name."
            )
        bound[name] = value


def _is_plain(value: Any) -> bool:
    """Whether equal values have equal representations in every process."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
