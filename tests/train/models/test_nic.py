"""NIC: what the LSTM sees in which order, step by step as all at once, what is trained, overfitting two images."""

import pytest
import torch
from torch import nn

from train.models import classifiers
from train.models.nic import Nic
from train.tasks.captioning.beam_search import beam_search
from train.tasks.captioning.vocabulary import END, START
from train.tasks.initial_weights import load_matching_weights


def test_parameters_are_those_of_its_parts():
    """ResNet-50, the image's layer and its norm, words in, LSTM with two biases, words out."""
    words, size = 1000, 512
    expected = 23_508_032 + 2049 * size + 2 * size + words * size + 4 * size * (2 * size + 2) + (size + 1) * words
    assert sum(p.numel() for p in Nic("resnet50", words).parameters()) == expected


def test_the_image_comes_first_and_then_the_words():
    """Against PyTorch's own LSTM over the whole sequence."""
    torch.manual_seed(0)
    model = Nic("resnet10", 11, 16).eval()
    lstm = nn.LSTM(16, 16, batch_first=True)
    lstm.load_state_dict(model.lstm.state_dict())
    images, tokens = torch.randn(3, 3, 32, 32), torch.randint(11, (3, 5))
    with torch.no_grad():
        (maps,) = model.body(images).values()
        first = model.norm(model.image(maps.mean((2, 3))))
        outputs, _ = lstm(torch.cat([first[:, None], model.embedding(tokens)], dim=1))
        torch.testing.assert_close(model(images, tokens), model.word(outputs[:, 1:]), rtol=1e-4, atol=1e-5)


def test_word_by_word_it_says_the_same_as_at_once():
    torch.manual_seed(0)
    model = Nic("resnet10", 11, 16).eval()
    images, tokens = torch.randn(3, 3, 32, 32), torch.randint(11, (3, 5))
    with torch.no_grad():
        logits, state = model(images, tokens), model.start(images)
        for number in range(5):
            found, state = model.step(tokens[:, number], state)
            torch.testing.assert_close(found, logits[:, number].log_softmax(1), rtol=1e-4, atol=1e-5)


def test_one_step_is_that_of_pytorchs_cell():
    torch.manual_seed(0)
    model = Nic("resnet10", 11, 16).eval()
    cell = nn.LSTMCell(16, 16)
    cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in model.lstm.state_dict().items()})
    images, tokens = torch.randn(3, 3, 32, 32), torch.randint(11, (3, 4))
    with torch.no_grad():
        (maps,) = model.body(images).values()
        state = model.start(images)
        expected = cell(model.norm(model.image(maps.mean((2, 3)))))
        for word in tokens.T:
            torch.testing.assert_close(state, expected)
            (_, state), expected = model.step(word, state), cell(model.embedding(word), expected)
        torch.testing.assert_close(state, expected)


def test_weights_begin_as_pytorchs_cell_has_them():
    """The same law, even the same draws: ±1/√C, biases included."""
    torch.manual_seed(5)
    cell = nn.LSTMCell(512, 512)
    torch.manual_seed(5)
    lstm = nn.LSTM(512, 512, batch_first=True)
    for name, tensor in cell.state_dict().items():
        assert torch.equal(tensor, lstm.state_dict()[f"{name}_l0"])
    assert type(Nic("resnet10", 11, 16).lstm) is nn.LSTM


def test_it_learns_in_bfloat16():
    torch.manual_seed(0)
    model = Nic("resnet10", 9, 32, fine_tune=True).train()
    images, tokens = torch.randn(4, 3, 32, 32), torch.randint(4, 9, (4, 5))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(6):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images, tokens[:, :-1])
            loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        state = model.eval().start(images)
    found, _ = beam_search(model.step, tuple(part.float() for part in state), START, END, 2, 5)
    assert found.shape == (4, 5)


def test_a_resnet_that_is_not_trained_stays_as_it_is():
    model = Nic("resnet10", 11, 16).train()
    before = {name: tensor.clone() for name, tensor in model.body.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    model(torch.randn(4, 3, 32, 32), torch.randint(11, (4, 3))).sum().backward()
    optimizer.step()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.body.state_dict().items())
    assert model.norm.training


def test_fine_tuned_it_learns():
    model = Nic("resnet10", 11, 16, fine_tune=True).train()
    assert model.body.training
    model(torch.randn(4, 3, 32, 32), torch.randint(11, (4, 3))).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_classifiers_weights_fit(tmp_path):
    torch.save(classifiers.build("resnet18", 9).state_dict(), tmp_path / "x.pth")
    taken = load_matching_weights([Nic("resnet18", 11, 16).body], tmp_path / "x.pth", complete=True)
    assert (taken.random, taken.unused) == ((), ("fc.weight", "fc.bias"))


@pytest.mark.parametrize("width", [1, 4])
def test_it_learns_two_images_by_heart(width):
    torch.manual_seed(0)
    model = Nic("resnet10", 9, 32, fine_tune=True).train()
    images = torch.randn(2, 3, 32, 32)
    tokens = torch.tensor([[START, 4, 5, 6, END], [START, 7, 8, END, 0]])
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        logits = model(images, tokens[:, :-1])
        nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0).backward()
        optimizer.step()
    for module in model.modules():  # batch norm as in training: two images are no statistics
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    with torch.no_grad():
        found, _ = beam_search(model.step, model.eval().start(images), START, END, width, 6)
    assert found.tolist() == [[4, 5, 6, END, END, END], [7, 8, END, END, END, END]]
