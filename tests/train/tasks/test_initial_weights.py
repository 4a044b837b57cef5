"""Initial weights: all but the last layer's, from checkpoints and torchvision's files; misfits are reported."""

import pytest
import torch
from torchvision import models as torchvision_models

from tests.helpers.training import ALONE, make_folder, quick
from train.engine.loop import fit
from train.launch import start
from train.models import classifiers
from train.tasks.classification import parameter_groups
from train.tasks.initial_weights import load_all_but_last_layer, load_matching_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), train=8)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(start(quick(data, folder, epochs=1, ema=0.9, warmup_epochs=0), ALONE))
    return folder


def test_a_checkpoint_gives_its_averaged_weights_without_the_last_layer(trained):
    model = classifiers.build("resnet10", 7)
    before = model.fc.weight.clone()
    taken = load_all_but_last_layer(model, trained)
    saved = torch.load(trained / "last.pt", weights_only=True)["ema"]
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in saved.items() if not name.startswith("fc"))
    assert torch.equal(model.fc.weight, before)
    assert taken.random == ("fc.weight", "fc.bias")
    assert taken.unused == ("fc.weight", "fc.bias")
    assert set(taken.taken) == set(own) - {"fc.weight", "fc.bias"}
    assert str(taken).startswith(
        f"weights of {trained}/last.pt (resnet10, cutmix, ema): taken: conv1 (1), bn1 (5), layer1 (12)"
    )
    assert str(taken).endswith("random: fc (2); in the file and not used: fc (2)")


def test_the_last_layer_stays_random_for_as_many_classes_too(trained):
    model = classifiers.build("resnet10", 3)
    before = model.fc.weight.clone()
    load_all_but_last_layer(model, trained / "best.pt")
    assert torch.equal(model.fc.weight, before)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}])
def test_torchvisions_weights_fit_the_papers_resnet(tmp_path, wrap):
    torch.manual_seed(1)
    theirs = torchvision_models.resnet50().state_dict()
    torch.save(wrap(theirs), tmp_path / "resnet50.pth")
    model = classifiers.build("resnet50_wsol", 200)
    taken = load_all_but_last_layer(model, tmp_path / "resnet50.pth")
    assert torch.equal(model.layer4[0].conv2.weight, theirs["layer4.0.conv2.weight"])
    assert (len(taken.taken), taken.random, taken.unused) == (318, ("fc.weight", "fc.bias"), ("fc.weight", "fc.bias"))


def test_torchvisions_weights_fit_vgg16_gap(tmp_path):
    theirs = torchvision_models.vgg16(num_classes=2).state_dict()
    torch.save(theirs, tmp_path / "vgg16.pth")
    model = classifiers.build("vgg16_gap", 200)
    taken = load_all_but_last_layer(model, tmp_path / "vgg16.pth")
    assert torch.equal(model.features[28].weight, theirs["features.28.weight"])
    assert len(taken.taken) == 26
    assert taken.random == ("conv6.weight", "conv6.bias", "fc.weight", "fc.bias")
    assert all(name.startswith("classifier") for name in taken.unused)


def test_counters_of_batches_may_be_missing(trained, tmp_path):
    """Files older than PyTorch 0.4.1 have none."""
    state = torch.load(trained / "last.pt", weights_only=True)["ema"]
    torch.save({name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}, tmp_path / "x.pth")
    model = classifiers.build("resnet10", 3)
    taken = load_matching_weights([model], tmp_path / "x.pth", complete=True)
    assert taken.random == ()
    assert torch.equal(model.layer4.conv1.weight, state["layer4.conv1.weight"])
    del state["layer4.conv1.weight"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"73 of the model's 74 tensors are in it, layer4.conv1.weight is not"):
        load_matching_weights([model], tmp_path / "x.pth", complete=True)


def test_a_checkpoint_is_read_once(trained, monkeypatch):
    reads = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *given, **options: reads.append(given) or load(*given, **options))
    load_all_but_last_layer(classifiers.build("resnet10", 3), trained)
    assert len(reads) == 1


def save(content):
    def write(path):
        torch.save(content, path)

    return write


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            save({"conv1.weight": torch.ones(64, 3, 7, 7)}),
            r"conv1.weight has the shape \[64, 3, 7, 7\], in the model \[16",
        ),
        (save({"features.0.weight": torch.ones(1)}), r"0 of the model's 74 tensors are in it, conv1.weight, bn1"),
        (save({"epoch": 3}), "no named tensors in it"),
        (save([torch.ones(1)]), "no named tensors in it"),
        (lambda path: path.write_text("text"), r"not a file of weights, or a damaged one"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, write, message):
    write(tmp_path / "x.pth")
    with pytest.raises(ValueError, match=f"x.pth: {message}"):
        load_all_but_last_layer(classifiers.build("resnet10", 3), tmp_path / "x.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.pth: no such checkpoint"):
        load_all_but_last_layer(classifiers.build("resnet10", 3), tmp_path / "gone.pth")


def test_a_run_starts_from_them_and_says_so(trained, data, tmp_path, capsys):
    run = start(quick(data, tmp_path, init=trained, model="resnet10"), ALONE)
    saved = torch.load(trained / "last.pt", weights_only=True)["ema"]
    assert torch.equal(run.model.layer4.conv1.weight, saved["layer4.conv1.weight"])
    assert "taken: conv1 (1)" in capsys.readouterr().out


def test_a_continued_run_needs_them_no_more(trained, data, tmp_path):
    config = quick(data, tmp_path / "a", init=trained, epochs=1, warmup_epochs=0)
    fit(start(config, ALONE))
    moved = tmp_path / "moved.pt"
    (trained / "best.pt").rename(moved)
    try:
        run = start(quick(data, tmp_path / "a", init=trained, resume=tmp_path / "a", warmup_epochs=0), ALONE)
        assert run.step == 3
    finally:
        moved.rename(trained / "best.pt")


def test_the_last_layer_may_learn_faster(data, tmp_path):
    run = start(quick(data, tmp_path, last_layer_lr=10, epochs=1, warmup_epochs=0, lr=0.01), ALONE)
    fc = {id(parameter) for parameter in run.model.fc.parameters()}
    fit(run)
    rates = {id(p) in fc: group["lr"] for group in run.optimizer.param_groups for p in group["params"]}
    assert rates[True] == pytest.approx(10 * rates[False])
    assert sum(len(group["params"]) for group in run.optimizer.param_groups) == len(list(run.model.parameters()))


def test_as_fast_as_the_rest_it_is_one_group():
    (group,) = parameter_groups(classifiers.build("resnet10", 3), 1.0)
    assert group["lr_scale"] == 1
