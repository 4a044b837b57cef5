"""A loader in Lightning's Trainer: steps and batches are those of a PyTorch DataLoader with a DistributedSampler."""

import logging

import lightning as L
import pytest
import torch
from accelerate import skip_first_batches
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader, TensorDataset

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.loaders import epoch_of, label_loader, take

SAMPLES, BATCH, STEPS, EPOCHS = 21, 4, 5, 3
pytestmark = pytest.mark.filterwarnings("ignore")


class Recorder(L.LightningModule):
    """Records the labels of each step, by epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trained = [[] for _ in range(EPOCHS)]
        self.validated = []

    def training_step(self, batch, batch_idx):
        labels = batch[0] if isinstance(batch[0], torch.Tensor) else batch[0][0]
        self.trained[self.current_epoch].append(labels.tolist())
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch[0].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def make(numbered_folder):
    return lambda **reading: label_loader(numbered_folder(SAMPLES), BATCH, **reading)


@pytest.fixture
def epochs(make):
    """The batches of each epoch, without Lightning."""
    loader = make()
    return [epoch_of(loader) for _ in range(EPOCHS)]


def fit(*loaders, module=None, ckpt_path=None, **options):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    trainer = L.Trainer(accelerator="cpu", **{"max_epochs": EPOCHS, "num_sanity_val_steps": 0} | quiet | options)
    module = module or Recorder()
    trainer.fit(module, *loaders, ckpt_path=ckpt_path, weights_only=False)
    return trainer, module


@pytest.mark.parametrize("wrap", [lambda loader: loader, dc.AllRanks], ids=["Loader", "AllRanks"])
def test_limited_epochs_have_the_first_batches_of_each_epoch_and_all_their_steps(make, epochs, wrap):
    trainer, module = fit(wrap(make()), limit_train_batches=2)
    assert trainer.global_step == 2 * EPOCHS
    assert module.trained == [epoch[:2] for epoch in epochs]


def test_overfit_batches_keeps_its_number_of_steps_and_without_shuffling_the_batches_too(make, epochs):
    trainer, module = fit(make(), overfit_batches=2)
    assert trainer.global_step == 2 * EPOCHS
    assert module.trained == [epoch[:2] for epoch in epochs]
    trainer, module = fit(make(shuffle=False), overfit_batches=2)
    assert trainer.global_step == 2 * EPOCHS
    assert module.trained == EPOCHS * [[[0, 1, 2, 3], [4, 5, 6, 7]]]


def test_a_shorter_loader_beside_it_ends_each_epoch_and_no_step_is_lost(make, epochs):
    short = DataLoader(TensorDataset(torch.arange(8)), batch_size=BATCH)
    trainer, module = fit(CombinedLoader([make(), short], "min_size"))
    assert trainer.global_step == 2 * EPOCHS
    assert module.trained == [epoch[:2] for epoch in epochs]


def test_validation_inside_an_epoch_disturbs_nothing_and_has_every_sample(make, epochs):
    trainer, module = fit(make(), make(shuffle=False), val_check_interval=2, num_sanity_val_steps=2)
    assert trainer.global_step == STEPS * EPOCHS
    assert module.trained == epochs
    sanity, rest = module.validated[:2], module.validated[2:]
    assert sanity == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(rest) == 6 * 2 * EPOCHS
    for begin in range(0, len(rest), 6):
        tally.assert_none_lost(range(SAMPLES), [label for batch in rest[begin : begin + 6] for label in batch])


def test_a_loader_made_anew_for_each_epoch_has_that_epochs_order(make, epochs):
    class Reloading(Recorder):
        def train_dataloader(self):
            return make()

    trainer, module = fit(module=Reloading(), reload_dataloaders_every_n_epochs=1)
    assert trainer.global_step == STEPS * EPOCHS
    assert module.trained == epochs


@pytest.mark.parametrize("limit", [None, 4])
def test_a_checkpoint_in_the_middle_of_an_epoch_continues_with_the_next_batch(make, epochs, tmp_path, limit):
    options = {"limit_train_batches": limit} if limit else {}
    stop = (limit or STEPS) + 2  # two batches into the second epoch

    class Saving(Recorder):
        def on_train_batch_end(self, *args):
            if self.trainer.global_step == stop:
                self.trainer.save_checkpoint(tmp_path / "middle.ckpt")

    _, whole = fit(dc.AllRanks(make()), module=Saving(), **options)
    assert whole.trained == [epoch[:limit] for epoch in epochs]
    trainer, rest = fit(dc.AllRanks(make()), ckpt_path=tmp_path / "middle.ckpt", **options)
    assert trainer.global_step == (limit or STEPS) * EPOCHS
    assert rest.trained == [[], whole.trained[1][2:], whole.trained[2]]
    tally.count("resumes")


def test_a_graph_with_a_reader_of_its_own_is_not_asked_for_an_epoch(numbered_folder):
    """Its order cannot be set; the batches simply go on."""
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=BATCH, num_threads=1, device_id=None)
    def graph():
        reader = fn.readers.file(file_root=str(numbered_folder(SAMPLES)), pad_last_batch=True, name="mine")
        return fn.squeeze(reader[1], axes=[0])

    trainer, module = fit(dc.Loader(graph(), drop_last=True), limit_train_batches=2)
    assert trainer.global_step == 2 * EPOCHS
    assert [labels for epoch in module.trained for batch in epoch for labels in batch][:8] == list(range(8))


def test_accelerates_skip_first_batches_says_what_replaces_it(make):
    with pytest.raises(
        AttributeError, match=r"in place of Accelerate's skip_first_batches\(loader, n\) use loader\.lo"
    ):
        skip_first_batches(make(), 2)
    loader, resumed = make(), make()
    take(loader, 2)
    resumed.load_state_dict(loader.state_dict())
    assert epoch_of(resumed) == epoch_of(make())[2:]
