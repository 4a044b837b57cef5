"""Data in memory through ``fn.external_source``: epochs, states that resume bit for bit, and what is refused."""

import io
import json

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from PIL import Image

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.loaders import bits, endless, flat, take

SAMPLES, BATCH = 10, 4
BATCHES = 3  # in an epoch; the last one has two samples


@pytest.fixture(scope="module")
def images(photos):
    """Ten JPEGs in memory."""
    return [jpeg(photos[i % 2][20 * i : 20 * i + 60, 30 * i : 30 * i + 80 + i]) for i in range(SAMPLES)]


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return np.frombuffer(file.getvalue(), np.uint8)


def at(iteration, place):
    """Number of a sample: shuffled anew in each epoch; the padding of the last batch repeats its samples."""
    epoch, batch = divmod(iteration, BATCHES)
    order = np.random.default_rng(epoch).permutation(SAMPLES)
    return int(order[(batch * BATCH + place) % SAMPLES])


def sources(images):
    """The two kinds of functions that can be continued, as arguments of ``fn.external_source``."""

    def sample(info):
        number = at(info.iteration, info.idx_in_batch)
        return images[number], np.int64(number)

    def batch(info):
        numbers = [at(info.iteration, place) for place in range(BATCH)]
        return [images[number] for number in numbers], [np.int64(number) for number in numbers]

    return {
        "SampleInfo": {"source": sample, "batch": False},
        "BatchInfo": {"source": batch, "batch_info": True},
        "iteration": {"source": lambda iteration: batch(types.BatchInfo(iteration, 0))},
    }


def mixing_loader(images, kind, **options):
    @pipeline_def(**dc.pipeline_options(batch_size=BATCH, device="cpu", num_threads=1))
    def graph():
        jpegs, labels = fn.external_source(**sources(images)[kind], num_outputs=2, dtype=[types.UINT8, types.INT64])
        crops = dc.random_resized_crop(jpegs, 8)
        mixed, targets = dc.mix(crops, labels, dc.CutMix(), num_classes=SAMPLES)
        return dc.normalize(mixed), targets

    return dc.Loader(graph(), epoch_size=SAMPLES, **{"drop_last": True} | options)


def labels_loader(source, *, loader=None, **arguments):
    @pipeline_def(**dc.pipeline_options(batch_size=BATCH, device="cpu", num_threads=1))
    def graph():
        return fn.external_source(source, **arguments)

    return dc.Loader(graph(), **{"epoch_size": SAMPLES} | (loader or {}))


def numbers(info):
    return np.int64(at(info.iteration, info.idx_in_batch))


def epoch_of(loader):
    return [labels.tolist() for (labels,) in list(loader)]  # all batches at once: none is written over


@pytest.mark.parametrize("kind", ["SampleInfo", "BatchInfo", "iteration"])
def test_training_from_memory_goes_on_bit_for_bit_from_every_position(images, kind):
    reference = mixing_loader(images, kind)
    assert (len(reference), reference.num_samples, len(reference.dataset)) == (2, 8, SAMPLES)
    states, batches = [json.dumps(reference.state_dict())], []
    running = endless(reference)
    for _ in range(6):
        batches.append(bits(next(running)))
        states.append(json.dumps(reference.state_dict()))
    assert len(set(batches)) == len(batches)
    assert take(mixing_loader(images, "SampleInfo"), 6) == batches, "all kinds give the same"
    resumed = mixing_loader(images, kind)
    for i in (3, 0, 1, 4, 2):
        resumed.load_state_dict(json.loads(states[i]))
        assert take(resumed, 2) == batches[i : i + 2], f"after batch {i}"
        tally.count("resumes")


def test_each_epoch_of_evaluation_has_every_sample_once():
    loader = labels_loader(numbers, batch=False)
    assert (len(loader), loader.drop_last, loader.num_samples) == (BATCHES, False, SAMPLES)
    for _ in range(3):
        batches = epoch_of(loader)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        tally.assert_none_lost(range(SAMPLES), flat(batches))


def test_evaluation_that_was_left_starts_anew_with_the_first_batch_of_an_epoch():
    loader = labels_loader(numbers, batch=False)
    next(iter(loader))
    assert epoch_of(loader) == [[at(BATCHES + batch, place) for place in range(n)] for batch, n in enumerate((4, 4, 2))]


@pytest.mark.parametrize("epoch", [0, 2, 5])
def test_set_epoch_asks_the_source_for_that_epoch(epoch):
    loader = labels_loader(numbers, batch=False, loader={"drop_last": True})
    next(iter(loader))
    loader.set_epoch(epoch)
    expected = [[at(epoch * BATCHES + batch, place) for place in range(BATCH)] for batch in range(2)]
    assert epoch_of(loader) == expected
    resumed = labels_loader(numbers, batch=False, loader={"drop_last": True})
    resumed.load_state_dict(loader.state_dict())
    assert epoch_of(resumed) == epoch_of(loader)


def test_two_loaders_of_one_graph_do_not_share_a_position():
    @pipeline_def(**dc.pipeline_options(batch_size=BATCH, device="cpu", num_threads=1))
    def graph():
        return fn.external_source(numbers, batch=False)

    loaders = [dc.Loader(graph(), epoch_size=SAMPLES) for _ in range(2)]
    assert epoch_of(loaders[0]) == epoch_of(loaders[1])


def test_a_source_beside_a_reader_follows_the_reader(numbered_folder):
    """Its own position once ran on where the loader had gone back."""

    def make():
        @pipeline_def(**dc.pipeline_options(batch_size=BATCH, device="cpu", num_threads=1))
        def graph():
            _, labels = dc.read_folder(numbered_folder(SAMPLES), shuffle=False)
            return labels, fn.external_source(lambda info: np.int64(info.iteration), batch=False)

        return dc.Loader(graph())

    loader = make()
    first = [[tensor.tolist() for tensor in batch] for batch in make()]
    next(iter(loader))
    assert [[tensor.tolist() for tensor in batch] for batch in loader] == first


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (lambda: iter([np.zeros(BATCH)]), {}),
        ([[np.int64(0)] * BATCH], {"cycle": True}),
        (iter([[np.int64(0)] * BATCH]), {}),
        (lambda: [np.int64(0)] * BATCH, {}),
    ],
    ids=["generator", "list", "iterator", "no argument"],
)
@pytest.mark.filterwarnings("ignore:Checkpointing enabled")
def test_a_source_whose_position_is_not_part_of_a_state_is_refused(source, options):
    message = r"external_source\(source=.* position is not part of a state.*; give it a function of types\.SampleInfo"
    with pytest.raises(ValueError, match=message):
        labels_loader(source, **options)


def test_a_source_that_nothing_feeds_and_a_parallel_one_are_refused():
    with pytest.raises(ValueError, match=r"without a source given, which nothing would feed; give it a function of"):
        labels_loader(None, name="images")

    @pipeline_def(batch_size=BATCH, num_threads=1, device_id=None, py_num_workers=1, py_start_method="spawn")
    def graph():
        return fn.external_source(numbers, batch=False, parallel=True)

    with pytest.raises(ValueError, match=r"parallel=True\) given; its worker processes .* Leave parallel out\."):
        dc.Loader(graph(), epoch_size=SAMPLES)


def test_a_source_that_ends_is_an_error_that_says_what_to_do_and_the_loader_keeps_its_position():
    ended = False

    def source(info):
        if info.iteration >= 4 and ended:
            raise StopIteration
        return numbers(info)

    loader = labels_loader(source, batch=False, loader={"drop_last": True})
    expected = take(labels_loader(numbers, batch=False, loader={"drop_last": True}), 5)
    assert take(loader, 2) == expected[:2]
    ended = True
    message = r"raised StopIteration at iteration 4; it must not end: .*epoch_size.* modulo the number of batches"
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            take(loader, 3)
    ended = False
    assert take(loader, 3) == expected[2:]


def test_a_batch_of_another_size_is_refused_with_both():
    def source(info):
        return np.zeros(BATCH - (info.iteration == 1), np.int64)

    with pytest.raises(RuntimeError, match=r"gave 3 samples for a batch of 4; give as many .* repeat some: the loader"):
        epoch_of(labels_loader(source, batch_info=True))


@pytest.mark.parametrize("size", [0, -1, 2.5, "10"])
def test_an_epoch_size_that_is_no_number_is_refused(size):
    with pytest.raises(ValueError, match=r"epoch_size=.* given; allowed is a whole number of at least 1"):
        labels_loader(numbers, batch=False, loader={"epoch_size": size})


def test_an_epoch_size_beside_a_reader_and_neither_of_both_are_refused(numbered_folder):
    with pytest.raises(
        ValueError, match=r"epoch_size=10 given, but reader 'reader' says where an epoch ends; leave it"
    ):
        dc.Loader(label_loader_graph(numbered_folder(SAMPLES)), epoch_size=10)
    with pytest.raises(ValueError, match=r"0 readers; one is needed, .* or epoch_size= for data from fn\.external_sou"):
        labels_loader(numbers, batch=False, loader={"epoch_size": None})


def label_loader_graph(root):
    @pipeline_def(batch_size=BATCH, num_threads=1, device_id=None)
    def graph():
        return dc.read_folder(root)[1]

    return graph()
