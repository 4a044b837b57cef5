"""SSD's augmentation: the canvas, the crops and the colours are drawn as in the paper's code."""

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from PIL import Image
from scipy.stats import binomtest, kstest

from pipelines.ssd import crop, cut, distort_colours, zoom


def draws(make, count=4000):
    """Outputs of a graph for so many samples, as arrays."""
    batch_size = min(count, 1000)

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=7)
    def graph():
        return tuple(make())

    pipe = graph()
    runs = [pipe.run() for _ in range(count // batch_size)]
    return [np.concatenate([outputs[i].as_array() for outputs in runs]) for i in range(len(runs[0]))]


def constant(values, dtype=np.float32):
    return types.Constant(np.array(values, dtype), device="cpu")


BOXES = [[0.2, 0.2, 0.5, 0.6], [0.6, 0.5, 0.9, 0.9], [0.05, 0.7, 0.12, 0.8]]


@pytest.mark.parametrize("chance", [0.5, 0.2])
def test_the_canvas_is_up_to_four_times_as_long_and_the_image_anywhere_on_it(chance):
    ratio, place = draws(lambda: zoom(constant(BOXES), chance)[1:])
    zoomed = ratio > 1
    assert binomtest(int(zoomed.sum()), len(ratio), chance).pvalue > 0.01
    assert kstest((ratio[zoomed] - 1) / 3, "uniform").pvalue > 0.01
    for axis in (0, 1):
        assert kstest(place[:, axis], "uniform").pvalue > 0.01


def test_a_corner_a_hair_over_the_border_is_put_on_it():
    """DALI's crop refuses it."""
    (boxes,) = draws(lambda: zoom(constant([[-1e-7, 0, 1.0000001, 1]]), 0)[:1], 1)
    assert boxes[0].tolist() == [[0, 0, 1, 1]]


def overlaps(corner, extent, boxes):
    """IoU of each window with each box."""
    low = np.maximum(corner[:, None], boxes[None, :, :2])
    high = np.minimum((corner + extent)[:, None], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (extent.prod(1)[:, None] + areas - shared)


def test_crops_have_the_sizes_and_ratios_of_ssd_and_overlap_some_object():
    height, width = 300, 500
    make = lambda: crop(constant(BOXES), constant([0, 1, 2], np.int32), constant([height, width], np.int64))[:2]  # noqa: E731
    corner, extent = draws(make)
    whole = (extent == 1).all(1)
    assert 1 / 7 < whole.mean() < 0.35  # one way of seven, and drawn again where another failed
    assert (corner[whole] == 0).all()
    corner, extent = corner[~whole], extent[~whole]
    assert extent.min() >= 0.3
    assert extent.max() <= 1
    assert extent.min() < 0.32
    ratio = extent[:, 0] * width / (extent[:, 1] * height)
    assert 0.5 <= ratio.min() < 0.55
    assert 1.8 < ratio.max() <= 2
    assert (corner + extent).max() <= 1 + 1e-6
    best = overlaps(corner, extent, np.array(BOXES)).max(1)
    # 0, 0.1 and 0.3 can be met with these boxes by many crops, 0.5 and 0.7 by some, 0.9 by hardly one.
    shares = [(best >= threshold).mean() for threshold in (0.1, 0.3, 0.5, 0.7)]
    assert shares[0] > 0.9
    assert 0.5 < shares[1] < 0.9
    assert 0.2 < shares[2] < 0.6
    assert 0.02 < shares[3] < 0.3


def test_a_threshold_asks_for_one_object_not_for_all():
    """With two objects far apart, no crop overlaps both by a tenth; if it had to, half of all would be the whole."""
    far = [[0.0, 0.0, 0.3, 0.3], [0.7, 0.7, 1.0, 1.0]]
    make = lambda: crop(constant(far), constant([0, 1], np.int32), constant([100, 100], np.int64))[:2]  # noqa: E731
    _, extent = draws(make, 2000)
    assert (extent == 1).all(1).mean() < 0.4


YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])


def distorted(chance, count=4000):
    """Brightness (levels), contrast, saturation and hue (degrees) of so many draws, seen in what became of colours."""
    grays = np.arange(36, 132)
    colours = np.append(np.repeat(grays, 3), [110, 60, 75]).astype(np.uint8).reshape(1, -1, 3)
    (seen,) = draws(lambda: [distort_colours(types.Constant(colours, device="cpu", layout="HWC"), chance)], count)
    contrast, offset = np.polyfit(grays, seen[:, 0, :-1].mean(2).T, 1)
    chroma, was = ((colour @ YIQ.T)[..., 1:] @ [1, 1j] for colour in (seen[:, 0, -1], colours[0, -1]))
    turned = chroma / contrast / was
    return offset / contrast, contrast, np.abs(turned), np.degrees(np.angle(turned))


def test_colours_are_distorted_as_in_ssd():
    brightness, contrast, saturation, hue = distorted(1)
    ranges = [(brightness, -32, 32, 0.5), (contrast, 0.5, 1.5, 0.01), (saturation, 0.5, 1.5, 0.05), (hue, -18, 18, 2)]
    for values, low, high, blur in ranges:  # results are rounded to whole levels
        assert low - blur < values.min() < low + blur
        assert high - blur < values.max() < high + blur
        assert kstest((values - low) / (high - low), "uniform").statistic < 0.03
    assert np.abs(np.corrcoef([brightness, contrast, saturation, hue]) - np.eye(4)).max() < 0.06


def test_each_distortion_has_its_own_chance():
    changed = np.stack(distorted(0.5)) - np.array([[0], [1], [1], [0]])
    unchanged = np.abs(changed) < [[0.3], [0.006], [0.03], [1.2]]
    assert unchanged.mean(1) == pytest.approx([0.5] * 4, abs=0.06)
    assert np.abs(np.corrcoef(unchanged) - np.eye(4)).max() < 0.06
    assert np.abs(np.stack(distorted(0, 1000)) - [[0], [1], [1], [0]]).max() < 1e-6


def test_brightness_is_added_before_contrast_multiplies_and_both_are_rounded_once(monkeypatch):
    """DALI's one pass against the two steps of the paper, in float."""
    given = {-32.0: iter([-20.0]), 0.5: iter([1.3, 1.0]), -18.0: iter([0.0])}
    monkeypatch.setattr(fn.random, "uniform", lambda range: constant(next(given[range[0]])))
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, 2)
    (seen,) = draws(lambda: [distort_colours(types.Constant(ramp, device="cpu", layout="HWC"), 1)], 1)
    np.testing.assert_allclose(seen[0], np.clip(1.3 * (ramp - 20.0), 0, 255), atol=0.51)


def test_a_window_is_cut_as_from_a_canvas(photos):
    """Against a canvas that is really made, cut by Pillow's own resize."""
    image = photos[0][:90, :120]
    mean, size = (10.0, 200.0, 90.0), 48
    rng = np.random.default_rng(0)
    for _ in range(20):
        width, height = (int(side) for side in rng.integers(60, 300, 2))
        x, y = int(rng.integers(-width // 2, 60)), int(rng.integers(-height // 2, 45))
        canvas = np.empty((800, 800, 3), np.uint8)
        canvas[:] = mean
        canvas[300:390, 300:420] = image
        box = (300 + x, 300 + y, 300 + x + width, 300 + y + height)
        expected = np.asarray(Image.fromarray(canvas).resize((size, size), Image.Resampling.BILINEAR, box)).astype(
            float
        )
        window = constant([x / 120, y / 90]), constant([width / 120, height / 90])
        still = types.Constant(image, device="cpu", layout="HWC")
        (seen,) = draws(lambda: [cut(still, *window, size, mean, 0)], 1)  # noqa: B023
        difference = np.abs(seen[0].astype(float) - expected).mean(2)
        assert np.median(difference) < 1
        # Where image and canvas meet, pixels are whole instead of blended.
        assert (difference > 3).mean() < 0.12
