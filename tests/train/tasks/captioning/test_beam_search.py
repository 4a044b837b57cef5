"""Beam search against an exhaustive search, and against the same algorithm written out in plain Python."""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.tasks.captioning.beam_search import beam_search

START, END, MEMORY = 0, 1, 97


@dataclass
class Writer:
    """Writes by all tokens before: they lead to a place, a whole number, and that to a row of a table."""

    table: torch.Tensor
    """MEMORY×V log-probabilities, float64."""
    calls: int = 0

    def place(self, place, token):
        return (place * 31 + token * 17 + 7) % MEMORY

    def __call__(self, tokens, state):
        self.calls += 1
        place, (copy,) = state
        assert torch.equal(place[:, None].expand_as(copy), copy)  # all of the state moves along
        assert tokens.dtype == torch.int64
        place = self.place(place, tokens)
        return self.table[place], (place, (place[:, None].expand_as(copy),))

    def search(self, places, width, length, exponent=0.0):
        place = torch.tensor(places)
        return beam_search(self, (place, (place[:, None].repeat(1, 2),)), START, END, width, length, exponent)


@st.composite
def writers(draw, most=6):
    """Some tokens are impossible; in half of the cases log-probabilities are halves, so that many sums tie exactly."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    vocabulary = draw(st.integers(2, most))
    table = torch.randn(MEMORY, vocabulary, generator=generator, dtype=torch.float64)
    impossible = torch.rand(MEMORY, vocabulary, generator=generator) < draw(st.sampled_from([0, 0.3]))
    impossible[:, draw(st.integers(0, vocabulary - 1))] = False
    table = table.masked_fill(impossible, -math.inf).log_softmax(dim=1)
    return Writer((2 * table).round() / 2 if draw(st.booleans()) else table)


def written_out(writer, place, width, length, exponent=0.0):
    """Score and tokens of the best; of equal ones that with the higher parent, the likelier token, the lower number."""
    table = writer.table.tolist()
    beam = [(0.0, [], START, place)]
    for _ in range(length):
        grown = []
        for score, tokens, last, where in beam:
            if last == END:
                grown.append((score, tokens, last, where))
                continue
            following = writer.place(where, last)
            for token, log_prob in sorted(enumerate(table[following]), key=lambda one: -one[1]):
                if log_prob > -math.inf:
                    grown.append((score + log_prob, [*tokens, token], token, following))
        beam = sorted(grown, key=lambda one: -one[0] / len(one[1]) ** exponent)[:width]
    score, tokens, *_ = beam[0]
    return score / len(tokens) ** exponent, tokens


def exhaustive(writer, place, length, exponent=0.0):
    """The best score of all sequences that end, or are as long as they may be."""
    table = writer.table.tolist()
    best = -math.inf
    for sequence in itertools.product(range(len(table[0])), repeat=length):
        where, last, score, used = place, START, 0.0, 0
        for token in sequence:
            where = writer.place(where, last)
            score, last, used = score + table[where][token], token, used + 1
            if token == END:
                break
        best = max(best, score / used**exponent)
    return best


def padded(tokens, length):
    return tokens + [END] * (length - len(tokens))


places = st.lists(st.integers(0, MEMORY - 1), min_size=1, max_size=4)
exponents = st.sampled_from([0, 0, 0.7, 1])


@given(writers(4), places, st.integers(1, 4), exponents)
def test_a_beam_wide_enough_finds_the_best_of_all_sequences(writer, where, length, exponent):
    _, scores = writer.search(where, 4**length, length, exponent)
    for place, score in zip(where, scores.tolist(), strict=True):
        assert score == pytest.approx(exhaustive(writer, place, length, exponent), abs=1e-12)


@given(writers(), places, st.integers(1, 9), st.integers(1, 8))
def test_it_is_the_search_written_out_ties_and_all(writer, where, width, length):
    tokens, scores = writer.search(where, width, length)
    assert (tokens.shape, tokens.dtype, scores.dtype) == ((len(where), length), torch.int64, torch.float64)
    for i, place in enumerate(where):
        score, expected = written_out(writer, place, width, length)
        assert (scores[i].item(), tokens[i].tolist()) == (score, padded(expected, length))


@given(writers(), places, st.integers(1, 9), st.integers(1, 8), st.sampled_from([0.5, 1, 2]))
def test_long_hypotheses_can_be_preferred(writer, where, width, length, exponent):
    _, scores = writer.search(where, width, length, exponent)
    for i, place in enumerate(where):
        score, _ = written_out(writer, place, width, length, exponent)
        assert scores[i].item() == pytest.approx(score, abs=1e-12)


@given(writers(), st.lists(st.integers(0, MEMORY - 1), min_size=4, max_size=4), st.integers(1, 6), exponents)
def test_images_in_one_batch_do_not_know_of_each_other(writer, where, width, exponent):
    tokens, scores = writer.search(where, width, 6, exponent)
    for i, place in enumerate(where):
        alone, score = writer.search([place], width, 6, exponent)
        assert torch.equal(alone[0], tokens[i])
        assert torch.equal(score[0], scores[i])


@given(writers(), places, st.integers(1, 8))
def test_width_1_takes_the_likeliest_token_each_time(writer, where, length):
    tokens, scores = writer.search(where, 1, length)
    for i, place in enumerate(where):
        last, score, expected = START, 0.0, []
        while last != END and len(expected) < length:
            place = writer.place(place, last)
            last = writer.table[place].argmax().item()
            score += writer.table[place, last].item()
            expected.append(last)
        assert (tokens[i].tolist(), scores[i].item()) == (padded(expected, length), pytest.approx(score))


def test_a_likely_caption_begins_with_an_unlikely_word():
    """By hand. Greedy: 2 (0.6), then anything (0.3 at most). The best one: 3 (0.4), then the end (0.9)."""
    first, after_2, after_3, end = ([0, 0, 0.6, 0.4], [0, 0.1, 0.3, 0.6 - 1e-9], [0, 0.9, 0.05, 0.05], [0, 1, 0, 0])
    table = torch.tensor([first, end, after_2, after_3], dtype=torch.float64).log()
    state = torch.zeros(1, 0)

    def step(tokens, state):
        return table[tokens], state

    tokens, scores = beam_search(step, state, START, END, 1, 2)
    assert (tokens.tolist(), scores.exp().item()) == ([[2, 3]], pytest.approx(0.36))
    tokens, scores = beam_search(step, state, START, END, 2, 9)
    assert (tokens.tolist(), scores.exp().item()) == ([[3] + [END] * 8], pytest.approx(0.36))


def test_it_stops_as_soon_as_nothing_can_become_better():
    """The end has 0.9 at once; at width 3 no other sequence can reach that, and one call is enough."""
    writer = Writer(torch.tensor([0.05, 0.9, 0.05], dtype=torch.float64).log().expand(MEMORY, 3))
    tokens, scores = writer.search([4, 5], 3, 50)
    assert (writer.calls, tokens.tolist()) == (1, [[END] * 50] * 2)
    assert scores.exp().tolist() == pytest.approx([0.9, 0.9])


def test_one_call_a_position_is_for_all_images_and_beams():
    rows = []

    def step(tokens, state):
        rows.append(len(tokens))
        return torch.zeros(len(tokens), 5).log_softmax(dim=1).index_fill(1, torch.tensor([END]), -9), state

    beam_search(step, torch.zeros(3, 2), START, END, 4, 6)
    assert rows == [12] * 6


def test_scores_of_half_precision_add_up_in_float64():
    def step(tokens, state):
        return torch.full((len(tokens), 2), math.log(0.5), dtype=torch.bfloat16), state

    _, scores = beam_search(step, torch.zeros(1, 1), 0, END, 1, 3)
    assert scores.dtype == torch.float64


def test_no_possible_sequence_has_a_score_of_minus_infinity():
    calls = []

    def step(tokens, state):
        calls.append(tokens)
        return torch.full((len(tokens), 3), -math.inf), state

    tokens, scores = beam_search(step, torch.zeros(2, 1), START, END, 2, 4)
    assert scores.tolist() == [-math.inf] * 2
    assert tokens.shape == (2, 4)
    assert len(calls) == 1


def ones(tokens, state):
    return torch.ones(len(tokens), 3), state


def nothing(tokens, state):
    return torch.full((len(tokens), 3), math.nan), state


def fitting(tokens, state):
    return torch.zeros(len(tokens), 3), state


@pytest.mark.parametrize(
    ("step", "options", "message"),
    [
        (fitting, {"width": 0}, "width 0 given; it must be at least 1"),
        (fitting, {"max_length": 0}, "max_length 0 given; it must be at least 1"),
        (fitting, {"length_exponent": -1.0}, "length_exponent -1.0 given; it must be at least 0"),
        (fitting, {"end": 3}, "end 3 given; the step has tokens 0 to 2"),
        (fitting, {"end": -1}, "end -1 given; the step has tokens 0 to 2"),
        (fitting, {"state": ()}, "state has no tensor; give at least one, with a row for each item"),
        (fitting, {"state": [torch.zeros(2, 1)]}, "state has a list; expected tensors, alone or in tuples"),
        (
            fitting,
            {"state": (torch.zeros(2, 1), torch.zeros(3))},
            r"state has tensors of \[2, 3\] rows; expected one row for",
        ),
        (ones, {}, "step returned invalid log-probabilities at position 1; they must be at most 0: use log_softmax"),
        (nothing, {}, "step returned invalid log-probabilities at position 1; they must be at most 0: use log_softmax"),
        (
            lambda t, s: (torch.zeros(2, 3), s),
            {},
            r"step returned log-probabilities of shape \(2, 3\); expected \(4, V\)",
        ),
        (lambda t, s: (torch.zeros(4), s), {}, r"step returned log-probabilities of shape \(4,\); expected \(4, V\)"),
    ],
)
def test_what_cannot_be_searched_is_refused(step, options, message):
    given = {"state": torch.zeros(2, 1), "start": START, "end": END, "width": 2, "max_length": 5}
    with pytest.raises(ValueError, match=message):
        beam_search(step, **given | options)


@pytest.mark.gpu
def test_a_gpu_finds_the_same():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(MEMORY, 50, generator=generator, dtype=torch.float64).log_softmax(dim=1)
    where = torch.arange(8)

    def find(device):
        writer = Writer(table.to(device))
        state = (where.to(device), (where[:, None].to(device),))
        return beam_search(writer, state, START, END, 20, 12)

    for ours, theirs in zip(find("cpu"), find("cuda"), strict=True):
        assert theirs.is_cuda
        assert torch.equal(ours, theirs.cpu())
