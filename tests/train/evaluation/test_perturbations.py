"""Perturbations: FGSM against finite differences, holes and interpolated samples against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import dali_cutmix as dc
from train.evaluation import perturbations as p

MEAN, STD = (torch.tensor(levels, dtype=torch.float64).view(3, 1, 1) for levels in (dc.IMAGENET_MEAN, dc.IMAGENET_STD))


def batch(n=4, size=6, seed=0):
    pixels = torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (255 * pixels - MEAN) / STD


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 5)).double().eval()


def test_the_gradients_sign_is_that_of_finite_differences(model):
    images, labels = batch(), torch.tensor([0, 3, 1, 4])
    signs = p.gradient_sign(model, images, labels)
    step = 1e-6
    for place in np.ndindex(4, 3, 6, 6):
        above, below = images.clone(), images.clone()
        above[place] += step
        below[place] -= step
        with torch.no_grad():
            losses = [
                nn.functional.cross_entropy(model(x)[place[0]][None], labels[place[0]][None]) for x in (above, below)
            ]
        difference = (losses[0] - losses[1]).item() / (2 * step)
        if abs(difference) > 1e-5:
            assert signs[place] == np.sign(difference)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_it_is_each_images_own_gradient_whatever_else_is_in_the_batch(model):
    images, labels = batch(), torch.tensor([0, 3, 1, 4])
    together = p.gradient_sign(model, images, labels)
    alone = torch.cat([p.gradient_sign(model, x[None], y[None]) for x, y in zip(images, labels, strict=True)])
    assert torch.equal(together, alone)


@given(st.floats(0, 255))
def test_fgsm_moves_pixels_by_epsilon_and_clips_them(level):
    images, signs = batch(), torch.sign(batch(seed=1))
    moved = p.fgsm(images, signs, level / 255) * STD + MEAN
    expected = (images * STD + MEAN + level * signs).clamp(0, 255)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-9)


def test_fgsm_of_0_changes_nothing():
    torch.testing.assert_close(p.fgsm(batch(), torch.ones(4, 3, 6, 6), 0.0), batch(), rtol=0, atol=1e-12)


@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_holes_are_centred_squares(side, height, width):
    inside = p.hole(torch.zeros(1, 3, height, width), side).numpy()
    rows, columns = (min(side, length) for length in (height, width))
    assert inside.sum() == rows * columns
    if side:
        y, x = np.argwhere(inside).min(axis=0)
        assert inside[y : y + rows, x : x + columns].all()
        assert (height - rows) - 2 * y in (0, 1)
        assert (width - columns) - 2 * x in (0, 1)


def test_occlusion_by_definition():
    images = batch(size=8)
    centre, boundary = p.occlude_centre(images, 4), p.occlude_boundary(images, 4)
    assert (centre[:, :, 2:6, 2:6] == 0).all()
    assert (boundary[:, :, :2] == 0).all()
    torch.testing.assert_close(centre + boundary, images, rtol=0, atol=0)


def test_the_ends_are_the_images_themselves():
    images, partners = batch(), batch(seed=1)
    assert torch.equal(p.occlude_centre(images, 0), images)
    assert (p.occlude_centre(images, 6) == 0).all()
    assert (p.occlude_boundary(images, 0) == 0).all()
    assert torch.equal(p.occlude_boundary(images, 6), images)
    assert torch.equal(p.between_mixup(images, partners, 1.0), images)
    assert torch.equal(p.between_mixup(images, partners, 0.0), partners)
    assert torch.equal(p.between_cutmix(images, partners, 0), images)
    assert torch.equal(p.between_cutmix(images, partners, 6), partners)
