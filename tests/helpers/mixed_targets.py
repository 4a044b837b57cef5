"""Random logits with mixed targets, in both forms."""

import torch


def mixed_batch(n, classes, seed, dtype):
    """Logits N×K, labels N×2 and λ N, and the same targets N×K, float32."""
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(n, classes, generator=generator, dtype=torch.float64) * 5).to(dtype)
    labels = torch.randint(classes, (n, 2), generator=generator)
    lam = torch.rand(n, generator=generator)
    eye = torch.eye(classes, dtype=torch.float32)
    dense = lam[:, None] * eye[labels[:, 0]] + (1 - lam)[:, None] * eye[labels[:, 1]]
    return logits, labels, lam, dense


def value_and_gradient(loss, logits):
    """A loss, and the gradient of its sum."""
    leaf = logits.clone().requires_grad_()
    value = loss(leaf)
    value.sum().backward()
    return value.detach(), leaf.grad
