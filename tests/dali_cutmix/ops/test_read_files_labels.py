"""Lists of files of several classes each, and of files without labels."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.bad_files import BAD
from tests.helpers.loaders import epoch_of, loader_of, take

ROOT = "/photos/"
LISTS = [[0, 3], [], (2,), np.array([3, 1, 0]), [np.int8(4)], np.array([], np.int64), [1, 2, 3, 4, 0], [2, 0]]


def dense(lists, k=5):
    """The labels that a loader has to give, in plain Python."""
    return [[float(number in set(map(int, labels))) for number in range(k)] for labels in lists]


@pytest.fixture
def samples(numbered_folder):
    paths = sorted(Path(numbered_folder(8)).glob("*/*.jpg"))
    return list(zip(paths, LISTS, strict=True))


def rows(loader):
    return [row for batch in epoch_of(loader) for row in batch]


def test_lists_of_classes_become_dense_labels_in_the_lists_order(samples):
    loader = loader_of(dc.read_files, samples, shuffle=False)
    assert rows(loader) == dense(LISTS)
    assert loader.num_classes == 5
    labels = next(iter(loader))[0]
    assert (labels.dtype, labels.device.type) == (torch.float32, "cpu")


@pytest.mark.parametrize(
    ("given", "k"),
    [({}, 5), ({"num_classes": 9}, 9), ({"classes": list("abcdef")}, 6), ({"classes": "abcdef", "num_classes": 7}, 6)],
)
def test_k_is_that_of_the_names_or_num_classes_or_the_largest_label(samples, given, k):
    loader = loader_of(dc.read_files, samples, shuffle=False, **given)
    assert rows(loader) == dense(LISTS, k)
    assert loader.num_classes == k
    assert loader.classes == tuple(given.get("classes", ()))


def test_class_labels_may_be_whole_numbers_of_any_type(samples):
    kinds = [int, np.int8, np.uint64, np.int64, np.array, torch.tensor, np.uint8, np.int32]
    given = ([path, kind(number)] for number, ((path, _), kind) in enumerate(zip(samples, kinds, strict=True)))
    assert rows(loader_of(dc.read_files, given, shuffle=False)) == list(range(8))


def test_lists_are_shuffled_and_cut_into_shards_as_class_labels_are(samples):
    numbers = [(path, number) for number, (path, _) in enumerate(samples)]
    for rank in range(3):
        order = {"seed": 4, "shard": (rank, 3), "batch_size": 2}
        by_number, by_list = (loader_of(dc.read_files, given, **order) for given in (numbers, samples))
        for _ in range(3):
            expected = [dense([LISTS[number] for number in batch]) for batch in epoch_of(by_number)]
            assert epoch_of(by_list) == expected


def test_a_bad_file_is_replaced_together_with_its_labels(photo_folder, tmp_path):
    paths = sorted(Path(photo_folder).glob("*/*.jpg"))[:8]
    bad = tmp_path / "bad.jpg"
    BAD["text"](bad)
    given = list(zip([*paths[:2], bad, *paths[3:]], LISTS, strict=True))

    @pipeline_def(**dc.pipeline_options(batch_size=4, device="cpu"))
    def graph():
        jpegs, labels = dc.read_files(given, shuffle=False)
        return dc.resize_center_crop(jpegs, 24, resize=24), labels

    loader = dc.Loader(graph(), on_error="replace", max_bad=0.5, bad_log=tmp_path / "bad.jsonl")
    images, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert labels.tolist() == dense([*LISTS[:2], LISTS[3], *LISTS[3:]])
    assert torch.equal(images[2], images[3])
    tally.count("bad")


def multi_label_loader(folder, fused, lists=LISTS, classes=(), **options):
    paths = sorted(Path(folder).glob("*/*.jpg"))[: len(lists)]
    read = partial(dc.read_files, list(zip(paths, lists, strict=True)), classes=classes)
    return imagenet.train(read, batch_size=4, size=24, device="cpu", seed=3, fused=fused, **options)


@pytest.mark.parametrize("mix", [dc.CutMix(), dc.Mixup(), dc.Cutout(), None], ids=repr)
def test_multi_label_data_trains(photo_folder, mix):
    ways = [False, True] if dc.can_fuse(None, None) else [False]
    targets = [torch.cat([made for _, made in multi_label_loader(photo_folder, way, mix=mix)]) for way in ways]
    assert all(torch.equal(targets[0], other) for other in targets)
    assert targets[0].shape == (8, 5)
    if mix is None or isinstance(mix, dc.Cutout):
        assert sorted(targets[0].tolist()) == sorted(dense(LISTS))
    torch.testing.assert_close(targets[0].sum(0), torch.tensor(dense(LISTS)).sum(0), atol=4.0, rtol=0)
    assert ((targets[0] >= 0) & (targets[0] <= 1)).all()


def test_a_run_on_multi_label_data_resumes_to_the_bit(photo_folder, fused):
    whole = take(multi_label_loader(photo_folder, fused), 7)
    stopped, resumed = (multi_label_loader(photo_folder, fused) for _ in range(2))
    assert take(stopped, 3) == whole[:3]
    resumed.load_state_dict(stopped.state_dict())
    assert take(resumed, 4) == whole[3:]
    tally.count("resumes")


def test_a_state_belongs_to_its_labels_but_not_to_the_order_in_a_list(samples):
    saved = loader_of(dc.read_files, samples).state_dict()
    path, labels = samples[3]
    loader_of(dc.read_files, [*samples[:3], (path, sorted(labels)), *samples[4:]]).load_state_dict(saved)
    tally.count("resumes")
    paths = [path for path, _ in samples]
    others = [
        ([*samples[:3], (path, [1, 0]), *samples[4:]], {}),
        (samples, {"num_classes": 6}),
        (list(zip(paths, range(8), strict=True)), {}),
        (paths, {}),
    ]
    for other, given in others:
        with pytest.raises(ValueError, match=r"files: '[0-9a-f]+' saved"):
            loader_of(images_of, other, **given).load_state_dict(saved)


def images_of(samples, **given):
    """The verb, with the images in the labels' place where there are none."""
    jpegs, labels = dc.read_files(samples, **given)
    return jpegs, jpegs.shape()[:1] if labels is None else labels


def test_pairs_of_multi_label_data_are_refused_before_anything_is_read(photo_folder, fused):
    with pytest.raises(ValueError, match=r"targets='pairs' given with dense labels of shape \[5\].*targets='dense'"):
        multi_label_loader(photo_folder, fused, targets="pairs")


def test_another_num_classes_than_that_of_the_labels_is_refused_before_anything_is_read(photo_folder, fused):
    """Five names are given: five labels."""
    message = r"dense labels of shape \[5\] given with num_classes=7; .*give num_classes=7, or as many classes, to the"
    with pytest.raises(ValueError, match=message + r" verb that reads \(dc\.read_files\)"):
        multi_label_loader(photo_folder, fused, classes="abcde", num_classes=7)


def test_class_labels_that_a_graph_makes_of_several_may_have_pairs(samples):
    """The first class of each sample; what is refused is the node of the labels, not the data."""
    some = [sample for sample in samples if len(sample[1])]

    @pipeline_def(batch_size=3, num_threads=1, device_id=None)
    def graph():
        jpegs, labels = dc.read_files(some)
        first = fn.python_function(labels, function=lambda row: row.argmax()[None])
        images = dc.random_resized_crop(jpegs, 8)
        return dc.mix(images, first, targets="pairs")

    assert next(iter(dc.Loader(graph())))[1].shape == (3, 2)


def test_files_without_labels_give_images_and_none(samples, tmp_path, monkeypatch):
    paths = [path for path, _ in samples]
    found = []

    def graph_of(given):
        @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        def graph():
            jpegs, labels = dc.read_files(given, shuffle=False)
            found.append(labels)
            return dc.resize_center_crop(jpegs, 8, resize=8)

        return graph()

    loader = dc.Loader(graph_of(paths))
    images = torch.cat([images for (images,) in loader])
    monkeypatch.chdir(paths[0].parent.parent)
    again = dc.Loader(graph_of([str(path.relative_to(paths[0].parent.parent)) for path in paths]))
    assert torch.equal(torch.cat([images for (images,) in again]), images)
    assert found == [None, None]
    assert loader.num_classes == 0
    assert images[:, 0, 0, 0].tolist() == sorted(images[:, 0, 0, 0].tolist()), "in the list's order"
    again.load_state_dict(loader.state_dict())


def test_files_without_labels_are_evaluated_as_images_alone(samples):
    paths = [path for path, _ in samples]
    loader = imagenet.val(partial(dc.read_files, paths), batch_size=4, size=8, resize=8, device="cpu")
    assert [len(batch) for batch in loader] == [1, 1]


def test_files_without_labels_cannot_be_mixed(samples, fused):
    paths = [path for path, _ in samples]
    with pytest.raises(ValueError, match=r"mix: labels=None given; .*\(path, label\).*fn\.flip"):
        imagenet.train(partial(dc.read_files, paths), batch_size=4, size=8, device="cpu", fused=fused)


LISTED = r"expected different whole numbers from 0 to 2147483647.*np\.flatnonzero"
ONE_FORM = r"expected one form for all samples: \(path, label\), \(path, \[label, …\]\) or a path alone"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([("/a", [0]), ("/b", [1, 1])], rf"sample 1: labels \[1, 1\] given; {LISTED}"),
        ([("/a", [0]), ("/b", [0, -1])], rf"sample 1: labels \[0, -1\] given; {LISTED}"),
        ([("/a", [1.0])], rf"sample 0: labels \[1\.0\] given; {LISTED}"),
        ([("/a", np.array([0.5, 1]))], rf"sample 0: labels array\(\[0\.5, 1\. \]\) given; {LISTED}"),
        ([("/a", [0]), ("/b", [True])], rf"sample 1: labels \[True\] given; {LISTED}"),
        ([("/a", np.array([True, False]))], rf"sample 0: labels array\(\[ True, False\]\) given; {LISTED}"),
        ([("/a", ["cat"])], rf"sample 0: labels \['cat'\] given; {LISTED}"),
        ([("/a", [[0]])], rf"sample 0: labels \[\[0\]\] given; {LISTED}"),
        ([("/a", np.array([[0, 1]]))], rf"sample 0: labels array\(\[\[0, 1\]\]\) given; {LISTED}"),
        ([("/a", [2**31])], rf"sample 0: labels \[2147483648\] given; {LISTED}"),
        ([("/a", [2**70])], rf"sample 0: labels \[1180591620717411303424\] given; {LISTED}"),
        ([("/a", []), ("/b", [])], r"no sample has a label; .*classes or num_classes"),
        ([("/a", 0), ("/b", [1])], rf"sample 1: \('/b', \[1\]\) given after \('/a', 0\); {ONE_FORM}.*\[0\]"),
        ([("/a", [0]), ("/b", 1)], rf"sample 1: \('/b', 1\) given after \('/a', \[0\]\); {ONE_FORM}"),
        (["/a", ("/b", 1)], rf"sample 1: \('/b', 1\) given after '/a'; {ONE_FORM}"),
        ([("/a", 1), ("/b", 1), Path("/c")], rf"sample 2: PosixPath\('/c'\) given after \('/a', 1\); {ONE_FORM}"),
        ([("/a", 0), ("/b", True)], r"sample 1: \('/b', True\) given; expected \(path, label\)"),
        ([("/a", np.bool_(True))], r"sample 0: \('/a', np\.True_\) given; expected \(path, label\)"),
        ([("/a", 2**31)], r"sample 0: \('/a', 2147483648\) given; expected \(path, label\)"),
        ([("/a", None)], r"sample 0: \('/a', None\) given; expected \(path, label\)"),
        ([("/a", {0, 1})], r"sample 0: \('/a', \{0, 1\}\) given; expected \(path, label\)"),
        ([("/a", 0), ("/b", 0, 1)], r"sample 1: \('/b', 0, 1\) given; expected \(path, label\)"),
        ([("/a", 0), (b"/b", 0)], r"sample 1: \(b'/b', 0\) given; expected \(path, label\)"),
        ([("/a", 0), (7, 0)], r"sample 1: \(7, 0\) given; expected \(path, label\)"),
        (["/a", ""], r"sample 1: '' given; expected"),
        ([b"/a"], r"sample 0: b'/a' given; expected"),
        ({"/a": 0}, r"a dict given; expected a list of .*give its \.items\(\)"),
        ("/data/train", r"samples='/data/train' given; .*list.*dc\.read_folder"),
        (Path("/data/train"), r"samples=PosixPath\('/data/train'\) given; .*list.*dc\.read_folder"),
    ],
    ids=lambda given: "" if isinstance(given, str) and "\\" in given else str(given),
)
def test_labels_in_another_form_are_refused_with_the_number_of_the_sample(wrong, message):
    with pytest.raises(ValueError, match=rf"read_files: {message}"):
        loader_of(images_of, wrong)


def test_a_num_classes_that_the_labels_exceed_is_refused(samples):
    with pytest.raises(ValueError, match=r"num_classes=3 given, but the data has 5 classes"):
        loader_of(dc.read_files, samples, num_classes=3)
    with pytest.raises(ValueError, match=r"num_classes=5 given, but the data has 6 classes"):
        loader_of(dc.read_files, samples, num_classes=5, classes=list("abcdef"))
    with pytest.raises(ValueError, match="2 classes named, but labels go up to 4; name all, or none"):
        loader_of(dc.read_files, samples, classes=["a", "b"])
