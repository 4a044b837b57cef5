"""Captioning: what is trained on and what is written; one step and its captions, plain and in bfloat16."""

import pytest
import torch

from dali_cutmix.detection import Captioned
from tests.helpers.fine_tuning import make_scenes, quickly, step_and_captions
from tests.helpers.training import ALONE
from train.models.nic import Nic
from train.tasks.captioning.data import train_loader
from train.tasks.captioning.task import write_captions
from train.tasks.captioning.vocabulary import END, PAD, SPECIAL, START, UNKNOWN, Vocabulary


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("scenes"))["coco"]


@pytest.mark.parametrize("words", [1, 3, 5])
def test_a_caption_of_max_length_words_is_trained_on_whole_and_a_longer_one_is_cut(scenes, tmp_path, words):
    config = quickly("coco-nic", scenes, tmp_path, max_length=words, batch_size=2)
    (path, *_) = sorted((scenes / "train2017").iterdir())
    said = " ".join("abcdef"[:words])
    captioned = Captioned((path, path), ((said,), (f"{said} more",)))
    vocabulary = Vocabulary([*SPECIAL, *"abcdef", "more"])
    ((_, tokens),) = train_loader(config, captioned, vocabulary, ALONE, tmp_path)
    assert tokens.tolist() == [[START, *range(4, 4 + words), END]] * 2


class Says(Nic):
    """One word after the other, whatever it sees; what it likes best comes first."""

    def __init__(self, order):
        super().__init__("resnet10", 7, 8)
        self.order = order

    def step(self, tokens, state):
        log_probs = torch.full((len(tokens), 7), -50.0)
        for rank, token in enumerate(self.order):
            log_probs[:, token] = -1.0 - rank
        return log_probs, state


@pytest.mark.parametrize("beam", [1, 4, 20])
def test_what_is_no_word_is_never_written(beam, tmp_path):
    config = quickly("coco-nic", tmp_path, tmp_path, beam=beam, max_length=3)
    words = Vocabulary([*SPECIAL, "a", "dog", "runs"])
    batches = [(torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]))]
    written = write_captions(Says([UNKNOWN, PAD, START, 5, 4]), batches, words, config, ALONE)
    assert written == {0: "dog dog dog", 1: "dog dog dog"}  # three words at most, also where none of them is the last


@pytest.mark.parametrize("amp", [False, True])
def test_a_step_and_captions_on_the_cpu(scenes, tmp_path, amp):
    step_and_captions(scenes, tmp_path, amp=amp)
