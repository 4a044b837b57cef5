"""Beam search for the likeliest sequence of a model that generates token by token (Vinyals et al., CVPR 2015)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

DecoderState = TypeVar("DecoderState")
"""A tensor, or a nested tuple of tensors."""
DecoderStep = Callable[[Tensor, DecoderState], tuple[Tensor, DecoderState]]
"""One step of a decoder: last tokens and state in, log-probabilities of the next tokens and new state out."""


@torch.inference_mode()
def beam_search(
    step: DecoderStep[DecoderState],
    state: DecoderState,
    start: int,
    end: int,
    width: int,
    max_length: int,
    length_exponent: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Find the best sequence for each of B items.

    A beam holds the ``width`` best hypotheses of an item. At each position, unfinished hypotheses are extended by every
    token; finished ones stay in the beam as long as they are among the best. Hypotheses that are unfinished at
    ``max_length`` count as they are. Ties are resolved by the rank of the parents, then by the likelihood of the last
    token, then by its number. All items and hypotheses advance in one call of ``step``, until the best hypothesis of
    each item is finished and no other one can become better. A beam as wide as the number of sequences finds the best
    of all.

    Example, a model without state whose token 1 is likelier than 0, and 2 ends the sequence::

        >>> log_probs = torch.tensor([0.2, 0.5, 0.3]).log()
        >>> step = lambda tokens, state: (log_probs.expand(len(tokens), 3), state)
        >>> tokens, scores = beam_search(step, torch.zeros(1), start=0, end=2, width=2, max_length=3)
        >>> tokens.tolist(), round(scores.exp().item(), 3)   # 2 at once: 0.3; 1, then 2: only 0.5 · 0.3
        ([[2, 2, 2]], 0.3)

    Args:
        step: function of the last tokens, B·W int64, and the state; it returns the log-probabilities of the next
            tokens, B·W×V and at most 0, and the next state. The W rows of an item are consecutive.
        state: state before the first token; each tensor has B rows, one per item. ``step`` gets and returns B·W rows.
        start: token before the first one.
        end: token that ends a sequence.
        width: W, number of hypotheses per item.
        max_length: maximum number of tokens, with ``end`` but without ``start``.
        length_exponent: scores are divided by the number of tokens to this power; 0, as in NIC, favours short
            sequences.

    Returns:
        Tokens, B×``max_length`` int64, without ``start``, padded with ``end``; scores, B float64, the sums of
        log-probabilities, divided as described, or −∞ if no sequence is possible.

    Raises:
        ValueError: a number is out of range, the state's tensors do not fit, or ``step`` returns invalid values.
    """
    for name, value in {"width": width, "max_length": max_length}.items():
        if value < 1:
            raise ValueError(f"{name} {value} given; it must be at least 1.")
    if length_exponent < 0:
        raise ValueError(f"length_exponent {length_exponent} given; it must be at least 0.")
    items, device = _rows(state)
    state = _each(state, lambda tensor: tensor.repeat_interleave(width, dim=0))
    first_row = width * torch.arange(items, device=device)[:, None]
    tokens = torch.full((items, width), start, device=device)
    sequences = torch.full((items, width, max_length), end, device=device)
    # All hypotheses are equal at first, so only one of them counts
    scores = torch.full((items, width), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0
    finished = torch.zeros((items, width), dtype=torch.bool, device=device)
    divisors = torch.ones_like(scores)
    for position in range(max_length):
        log_probs, state = step(tokens.flatten(), state)
        if log_probs.ndim != 2 or len(log_probs) != items * width:
            raise ValueError(
                f"step returned log-probabilities of shape {tuple(log_probs.shape)}; expected ({items * width}, V)."
            )
        size = log_probs.shape[1]
        if not 0 <= end < size:
            raise ValueError(f"end {end} given; the step has tokens 0 to {size - 1}.")
        likeliest, following = _likeliest(log_probs, min(width, size))
        # items × width × choices; a finished hypothesis has only one choice, to stay as it is
        grown = scores[..., None] + likeliest.double().view(items, width, -1)
        grown.masked_fill_(finished[..., None], -torch.inf)
        grown[..., 0] = torch.where(finished, scores, grown[..., 0])
        following = following.view_as(grown).masked_fill(finished[..., None], end)
        divisors = torch.where(finished, divisors, (position + 1) ** length_exponent)
        ranked = (grown / divisors[..., None]).flatten(1).sort(dim=1, descending=True, stable=True)
        best = ranked.indices[:, :width]
        parents = best // grown.shape[2]
        tokens = following.flatten(1).gather(1, best)
        scores = grown.flatten(1).gather(1, best)
        divisors = divisors.gather(1, parents)
        finished = finished.gather(1, parents) | (tokens == end)
        sequences = sequences.gather(1, parents[..., None].expand_as(sequences))
        sequences[..., position] = tokens
        state = _each(state, partial(torch.index_select, dim=0, index=(first_row + parents).flatten()))
        # Upper bound of an unfinished hypothesis: the score that it would have if all further tokens were certain
        limit = torch.where(finished, -torch.inf, scores / max_length**length_exponent).amax(dim=1)
        reached = torch.where(finished, scores / divisors, -torch.inf).amax(dim=1)
        done = ((reached > limit) | limit.isneginf()).all()
        # log_softmax may round to slightly above 0; topk ranks NaN first, and NaN fails the comparison
        valid, stop = torch.stack([(likeliest <= 1e-3).all(), done]).tolist()
        if not valid:
            raise ValueError(
                f"step returned invalid log-probabilities at position {position + 1}; they must be at most 0: use "
                "log_softmax."
            )
        if stop:
            break
    return sequences[:, 0], scores[:, 0] / divisors[:, 0]


def _likeliest(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row and their columns; of equal values the first, which ``topk`` does not ensure."""
    values, places = log_probs.topk(count, dim=1)
    smallest, size = values[:, -1:], log_probs.shape[1]
    numbers = torch.arange(size, dtype=torch.int32, device=log_probs.device)
    first = torch.where(log_probs == smallest, numbers, size).topk(count, dim=1, largest=False).values.long()
    slot = numbers[:count] - (values > smallest).sum(dim=1, keepdim=True)
    places = torch.where(slot < 0, places, first.gather(1, slot.clamp(min=0)))
    places, by_place = places.sort(dim=1)
    values, by_value = values.gather(1, by_place).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, by_value)


def _each(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return change(state) if isinstance(state, Tensor) else tuple(_each(part, change) for part in state)


def _rows(state: Any) -> tuple[int, torch.device]:
    """The number of rows, which all tensors share, and their device."""
    tensors: list[Tensor] = []
    parts = [state]
    while parts:
        match parts.pop():
            case Tensor() as tensor:
                tensors.append(tensor)
            case tuple() as more:
                parts.extend(reversed(more))
            case other:
                raise ValueError(f"state has a {type(other).__name__}; expected tensors, alone or in tuples.")
    if not tensors:
        raise ValueError("state has no tensor; give at least one, with a row for each item.")
    rows = [len(tensor) for tensor in tensors]
    if len(set(rows)) > 1:
        raise ValueError(f"state has tensors of {rows} rows; expected one row for each item.")
    return rows[0], tensors[0].device
