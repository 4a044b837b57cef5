"""Targets of a graph of one's own that mixes given labels, by DALI's operators or by the fused pass."""

import numpy as np
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc

SIZE = 6


def noise_images(n):
    """n images of noise, 6×6×3 uint8."""
    return list(np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8))


def mix_labels(labels, policy, num_classes, *, fused, targets="dense", images=None, change=lambda labels: labels):
    """The targets of one batch, as a tuple of arrays; ``images`` are noise by default.

    Args:
        labels: one array for each sample.
        change: what the graph does with the node of the labels before it mixes.
    """
    images = noise_images(len(labels)) if images is None else images
    finish = dc.FusedMix(policy, resample=dc.Resample(SIZE), num_classes=num_classes, targets=targets)

    @pipeline_def(batch_size=len(labels), num_threads=1, device_id=None, seed=11)
    def graph():
        pixels = fn.external_source(source=lambda: images, layout="HWC" if images[0].ndim == 3 else None)
        own = change(fn.external_source(source=lambda: list(labels)))
        if fused:
            return finish.inputs(pixels, own)
        return dc.mix(pixels, own, policy, num_classes=num_classes, targets=targets)

    pipe = graph()
    pipe.build()
    if fused:
        _, *made = finish(*pipe.run())
        return tuple(part.numpy() for part in made)
    _, *made = pipe.run()
    return tuple(part.as_array() for part in made)
