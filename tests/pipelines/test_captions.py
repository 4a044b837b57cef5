"""Images and sentences: every pair once an epoch, each sentence with its own image, the same after a resume."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from dali_cutmix.detection import Captioned
from pipelines import captions
from tests.helpers.images import save

CPU = {"device": "cpu", "num_threads": 1}
SMALL = {"size": 16, "resize": 20, "mean": (0, 0, 0), "std": (1, 1, 1)} | CPU
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")


def encode(sentence):
    """Letters as tokens from 1."""
    return [ord(letter) - ord("a") + 1 for letter in sentence]


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    """Twelve gray images, bright on the left; image n is 10·n levels, and its sentences begin with its letter."""
    root = tmp_path_factory.mktemp("captioned")
    paths, sentences = [], []
    for number in range(12):
        pixels = np.full((30 + number, 40, 3), 10 * number, np.uint8)
        pixels[:, :10] += 100
        paths.append(root / f"{number}.png")
        save(pixels, paths[-1])
        letter = "abcdefghijkl"[number]
        sentences.append(tuple(letter + "z" * more for more in range(1 + number % 3)))
    return Captioned(tuple(paths), tuple(sentences))


def test_every_sentence_comes_once_an_epoch_with_its_own_image(captioned):
    loader = captions.train(captioned, encode, batch_size=8, **SMALL)
    pairs = sorted(sentence for said in captioned.sentences for sentence in said)
    assert len(loader) * 8 == len(pairs) == 24
    assert (loader.classes, loader.num_classes) == ((), 0)
    for _ in range(2):
        found = []
        for images, tokens in loader:
            assert (images.shape, images.dtype, tokens.dtype) == ((8, 3, 16, 16), torch.float32, torch.int64)
            assert (tokens > 0).sum(1).max() == tokens.shape[1]
            for image, sentence in zip(images, tokens.tolist(), strict=True):
                words = [token for token in sentence if token]
                assert sentence == words + [0] * (len(sentence) - len(words))
                found.append("".join(chr(token + ord("a") - 1) for token in words))
                dark = image[0].min().item()
                assert dark == pytest.approx(10 * (words[0] - 1), abs=1)
        assert sorted(found) == pairs


def words(tokens):
    """Sentences again."""
    return ["".join(chr(token + ord("a") - 1) for token in sentence if token) for sentence in tokens.tolist()]


def test_the_shards_of_an_epoch_are_disjoint_and_together_hold_every_sentence(captioned):
    halves = [captions.train(captioned, encode, batch_size=6, shard=(rank, 2), **SMALL) for rank in (0, 1)]
    for _ in range(2):
        said = [[sentence for _, tokens in half for sentence in words(tokens)] for half in halves]
        assert [len(half) for half in said] == [12, 12]
        assert sorted([*said[0], *said[1]]) == sorted(one for of_image in captioned.sentences for one in of_image)


def test_for_each_sentence_of_a_bad_image_another_comes_with_its_own_image(captioned, tmp_path):
    """Image 5, f, has three of the 24 sentences: each is a bad sample."""
    paths = list(captioned.paths)
    paths[5] = tmp_path / "bad.png"
    paths[5].write_bytes(b"no image")
    data = Captioned(tuple(paths), captioned.sentences)
    options = {"batch_size": 24, "on_error": "replace", "bad_log": tmp_path / "bad.jsonl"} | SMALL
    loader = captions.train(data, encode, max_bad=3 / 24, **options)
    for _ in range(2):
        ((images, tokens),) = loader
        letters = [ord(sentence[0]) - ord("a") for sentence in words(tokens)]
        assert sorted({*range(12)} - {*letters}) == [5]
        assert images.amin((1, 2, 3)).tolist() == pytest.approx([10 * letter for letter in letters], abs=1)
        assert {sentence for said in data.sentences for sentence in said} - {*words(tokens)} == {*data.sentences[5]}
    with pytest.raises(RuntimeError, match="max_bad"):
        list(captions.train(data, encode, max_bad=2 / 24, **options))


@pytest.mark.parametrize("flip", [0, 1, 0.5])
def test_images_are_flipped_with_the_chance_that_is_asked(captioned, flip):
    loader = captions.train(captioned, encode, batch_size=8, flip=flip, **SMALL)
    images = torch.cat([images for _ in range(6) for images, _ in loader])
    mirrored = images[:, 0, :, -1].mean(1) > images[:, 0, :, 0].mean(1)
    assert mirrored.float().mean() == pytest.approx(flip, abs=0 if flip != 0.5 else 0.12)


def test_crops_are_of_the_stretched_image_at_any_place(captioned):
    """Five places each way; the bright band of the left is 5, 4, 3, 2 or 1 pixels wide in them."""
    loader = captions.train(captioned, encode, batch_size=8, flip=0, **SMALL)
    images = torch.cat([images for _ in range(6) for images, _ in loader])
    middle = images[:, 0].mean(1)
    widths = Counter(((middle - middle.min(1, keepdim=True).values) > 50).sum(1).tolist())
    assert sorted(widths) == [1, 2, 3, 4, 5]
    assert min(widths.values()) > 10


def test_evaluation_gives_every_image_once_in_order(captioned):
    transform = v2.Compose([v2.Resize([20, 20], antialias=True), v2.CenterCrop(16)])
    numbers = []
    for images, found in captions.val(captioned, batch_size=5, **SMALL):
        numbers += found.tolist()
        for image, number in zip(images, found.tolist(), strict=True):
            theirs = np.asarray(transform(Image.open(captioned.paths[number]))).astype(float)
            assert np.abs(image.permute(1, 2, 0).numpy() - theirs).mean() < 0.5
    assert numbers == list(range(12))


def test_a_resumed_loader_goes_on_with_the_same_batches_on_any_number_of_threads(captioned):
    one, other = (
        captions.train(captioned, encode, batch_size=5, seed=3, **SMALL | {"num_threads": threads})
        for threads in (1, 2)
    )
    list(one)
    batches = iter(one)
    next(batches)
    other.load_state_dict(one.state_dict())
    for batch, again in zip([*batches, *one], [*other, *other], strict=True):
        assert all(part.equal(same) for part, same in zip(batch, again, strict=True))


@pytest.mark.parametrize(
    ("other", "flip", "named"),
    [(lambda sentence: [*encode(sentence), 27], 0.5, "sentences"), (encode, 0.0, "flip")],
)
def test_a_state_of_other_tokens_or_flips_is_refused(captioned, other, flip, named):
    saved = captions.train(captioned, encode, batch_size=8, **SMALL).state_dict()
    with pytest.raises(ValueError, match=rf"{named}: .* saved, .* here"):
        captions.train(captioned, other, batch_size=8, flip=flip, **SMALL).load_state_dict(saved)


def test_a_state_of_the_same_flip_as_a_whole_number_is_continued(captioned):
    one, other = (captions.train(captioned, encode, batch_size=8, flip=flip, **SMALL) for flip in (0, 0.0))
    batches = iter(one)
    next(batches)
    other.load_state_dict(one.state_dict())
    assert all(part.equal(same) for part, same in zip(next(batches), next(iter(other)), strict=True))


@pytest.mark.parametrize("tokens", [[], [3, 0], [-1], [1.5], ["a"]])
def test_tokens_that_are_none_are_refused(captioned, tokens):
    with pytest.raises(
        ValueError, match=r"encode returned \[.*\] for 'a'; it must return one or more whole numbers of at least 1"
    ):
        captions.train(captioned, lambda _: tokens, **SMALL)


def test_arrays_and_tensors_are_tokens_too(captioned):
    for form in (np.array, tuple, torch.tensor):
        _, tokens = next(iter(captions.train(captioned, lambda s, form=form: form(encode(s)), batch_size=8, **SMALL)))
        assert tokens.dtype == torch.int64


@pytest.mark.parametrize("data", [Captioned((), ()), Captioned((Path("a.jpg"),), ((),))])
def test_images_without_sentences_are_refused(data):
    with pytest.raises(ValueError, match=rf"{len(data)} images with no sentences given; at least one sentence is need"):
        captions.train(data, encode, **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 2}, "flip=2 given; it is a chance"),
        ({"size": 24}, "resize=20 given with size=24; the stretched side must be at least the crop's"),
        ({"batch_size": 25}, "batch_size=25 given, but the smallest shard holds 24 samples"),
    ],
)
def test_wrong_values_are_refused(captioned, options, message):
    with pytest.raises(ValueError, match=message):
        captions.train(captioned, encode, **SMALL | options)


@without_gpu
@pytest.mark.parametrize("function", [lambda data, **o: captions.train(data, encode, **o), captions.val])
def test_the_graph_for_a_gpu_is_wired_right(captioned, monkeypatch, function):
    """It is made and checked up to where CUDA itself is asked for."""
    for name, answer in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        function(captioned, batch_size=4, **SMALL | {"device": "cuda:0"})
