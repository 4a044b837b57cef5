"""FusedMix: plan, targets and the compiled resampling in one pass, after the graph."""

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix._dali import nearest, verb
from dali_cutmix.fused.cpu import is_compiled
from dali_cutmix.fused.resample import Resample
from dali_cutmix.gpu import gpu_of, upload
from dali_cutmix.mixing import Policy, Targets, draw, stack_labels
from dali_cutmix.ops import Crop, Mixing, Notes, checked_mixing, notes


def can_fuse(device_id: int | None, fused: bool | None) -> bool:
    """Decide whether to use :class:`FusedMix`: as ``fused`` says, and wherever possible if that is None.

    Args:
        device_id: number of the GPU; None for the CPU.
        fused: what the user wants; None for whatever is possible.

    Raises:
        ValueError: ``fused=True`` on the CPU without the compiled part.

    Example:
        >>> dc.can_fuse(device_id=None, fused=False)
        False
    """
    possible = device_id is not None or is_compiled()
    if fused and not possible:
        raise ValueError(
            "fused=True given, but dali_cutmix was installed without its compiled part: there was no C++ compiler, or "
            "it failed (pip install -v says how). Reinstall it where there is one, or use fused=None or False."
        )
    return possible if fused is None else fused


class View(NamedTuple):
    """What a :class:`FusedMix` needs to know of a graph that makes its inputs.

    Args:
        mixing: the checked arguments of the mix.
        has_windows: whether the graph makes whole images and windows, not crops.
        outputs: names of the nodes that it returns.
    """

    mixing: Mixing
    has_windows: bool
    outputs: tuple[str, ...]


class FusedMix:
    """``random_resized_crop`` → ``mix`` → ``normalize`` in one pass, on the CPU or a GPU: same draws, same targets.

        crops, labels, draws ──graph──▶ plan, targets ──▶ Resample ──▶ images, targets

    One makes one view of a graph's images; it may serve several graphs, and ``Loader(graph, finish=…)`` takes several
    of them in a tuple. What a graph returns besides their inputs comes in its place, as without ``finish``:

        the graph returns                                      the Loader gives
        *a.inputs(…), *b.inputs(…), dc.normalize(clean)        images, targets, images, targets, clean

    Args:
        policy, num_classes, targets, flip, name: see :func:`~dali_cutmix.mix`.
        resample: size, normalization, dtype and memory format of the images.

    Example:
        >>> finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(64), targets="pairs")
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return finish.inputs(dc.random_crop(jpegs), labels)
        >>> if dc.can_fuse(None, None):  # the compiled part is there
        ...     images, labels, lam = next(iter(dc.Loader(graph(), finish=finish)))
        ...     assert images.shape == (4, 3, 64, 64) and labels.shape == (4, 2) and lam.shape == (4,)
    """

    def __init__(
        self,
        policy: Policy | None,
        *,
        resample: Resample,
        num_classes: int | None = None,
        targets: Targets = "dense",
        flip: float = 0.5,
        name: str | None = None,
    ) -> None:
        self._arguments = policy, num_classes, targets, flip, name
        self._resample = resample
        self._views: WeakKeyDictionary[Pipeline, View] = WeakKeyDictionary()
        self._latest: View | None = None

    @verb
    def inputs(self, crops: Any, labels: Any) -> tuple[Any, ...]:
        """Make the outputs of the graph: its crops (or whole images and windows), its labels, and the random numbers.

        Args:
            crops: from :func:`~dali_cutmix.random_crop`.
            labels: on the CPU, class labels or dense ones, see :func:`~dali_cutmix.mix`.

        Raises:
            ValueError: see :func:`~dali_cutmix.mix`; or it is called twice in one graph.
        """
        graph, pipeline = notes(), Pipeline.current()
        if pipeline in self._views:
            raise ValueError(
                "FusedMix: inputs() was called twice in one graph, but one FusedMix makes one view. Make one for each "
                "view and give the Loader both, finish=(a, b); or use dc.mix for one of the views."
            )
        mixing = checked_mixing(graph, crops, labels, *self._arguments)
        if not hasattr(labels, "name"):
            raise ValueError(
                f"FusedMix: labels={labels!r} given; expected a node of the graph: the labels that a verb that reads "
                "returns. For the same label everywhere use dc.mix."
            )
        self._note_crop(graph, crops)
        window = graph.windows.get(crops.name)
        # Whole images instead of the regions: the kernels read the regions in place, without a copy.
        outputs = *(window or (crops,)), labels, *draw(mixing.policy)
        names = tuple(output.name for output in outputs)
        self._views[pipeline] = self._latest = View(mixing, window is not None, names)
        graph.fused.append(self)
        return outputs

    def _note_crop(self, graph: Notes, crops: Any) -> None:
        """Bind a saved state to the size, together with the arguments of the crop."""
        found = nearest(crops, graph.encoded)
        if len(found) == 1 and not found[0].finished:
            [crop] = found
        else:
            graph.crops.append(crop := Crop({}))
        crop.finished = True
        crop.arguments |= {"size": self._resample.size, "antialias": True}

    def view(self, pipeline: Pipeline) -> View | None:
        """What this makes of a pipeline's outputs; None if the graph did not call :meth:`inputs`."""
        return self._views.get(pipeline)

    def __call__(self, crops: Any, *batch: Any) -> tuple[Tensor, ...]:
        """Images and targets of one batch, from the outputs of the graph.

        Raises:
            RuntimeError: it served no graph, or several that are alive and differ.
        """
        latest, others = self._latest, [*self._views.values()]
        if latest is None or any(view[:2] != latest[:2] for view in others):
            raise RuntimeError(
                f"FusedMix: called with the outputs of one graph, but inputs() was called in {len(others)}"
                f"{', which differ' if others else ''}. Call inputs() in the graph, and give the Loader the FusedMix "
                "itself as finish=, or make one for each graph."
            )
        return self.finish(latest, crops, *batch)

    def finish(self, view: View, crops: Any, *batch: Any) -> tuple[Tensor, ...]:
        """Images and targets of one batch, from what :meth:`inputs` added to the graph of ``view``."""
        size = self._resample.size
        labels = batch[2 if view.has_windows else 0]
        if not labels.is_dense_tensor():
            stack_labels([np.asarray(label) for label in labels], view.mixing.num_classes)  # refuses unequal shapes
        arrays = [np.asarray(output.as_tensor()) for output in batch]
        windows = np.concatenate([arrays.pop(0), arrays.pop(0)], 1) if view.has_windows else None
        plan, targets = view.mixing(size, size, *arrays)
        images = self._resample(crops, plan.rows, windows)
        gpu = gpu_of(crops)
        return images, *(torch.from_numpy(part) if gpu is None else upload(part, gpu) for part in targets)
