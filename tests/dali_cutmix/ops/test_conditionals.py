"""Graphs with conditionals: every verb is left as it is written; automatic augmentations work before a mix."""

import inspect
import json
from functools import partial

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.auto_aug import auto_augment, rand_augment, trivial_augment

import dali_cutmix as dc
from tests.helpers.bad_files import BAD
from tests.helpers.images import write_photos
from tests.helpers.loaders import bits, take

GRAPHS = ("dali_cutmix.ops.", "dali_cutmix.detection.ops")
"""Modules whose public functions add nodes to a graph."""


def verbs():
    """Public functions that add nodes, and methods of public classes that do."""
    for face in (dc, dc.detection):
        for name in face.__all__:
            thing = getattr(face, name)
            if inspect.isfunction(thing) and thing.__module__.startswith(GRAPHS):
                yield name, thing
            elif inspect.isclass(thing) and thing.__module__.startswith("dali_cutmix."):
                yield from (
                    (f"{name}.{method}", function)
                    for method, function in vars(thing).items()
                    if inspect.isfunction(function)
                    and not method.startswith("_")
                    and "notes()" in inspect.getsource(function)
                )


VERBS = dict(verbs())


def test_the_verbs_are_found():
    assert {"read_folder", "mix", "normalize", "bind_state", "FusedMix.inputs", "flip_all"} <= VERBS.keys()
    assert len(VERBS) >= 22


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_marked_and_keeps_its_signature_and_docstring(name):
    """Forgotten? Put @verb above it: DALI would rewrite its ``if`` and ``for`` in a graph with conditionals."""
    function = VERBS[name]
    assert hasattr(function, "autograph_info__"), f"{name} lacks @verb of dali_cutmix._dali"
    assert inspect.getdoc(function)
    assert "args" not in inspect.signature(function).parameters
    assert inspect.unwrap(function) is function


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


def darkened_sometimes(images):
    if fn.random.coin_flip(dtype=types.BOOL):
        images = fn.brightness(images, brightness=fn.random.uniform(range=[0.2, 0.5]))
    return images


AUGMENTATIONS = {
    "rand": partial(rand_augment.rand_augment, n=2, m=9),
    "trivial": trivial_augment.trivial_augment_wide,
    "auto": partial(auto_augment.auto_augment, shape=[24, 24]),
    "own": darkened_sometimes,
}


def loader_of(root, augment, threads=1, conditionals=True, mix=dc.CutMix(), **options):
    @pipeline_def(batch_size=6, num_threads=threads, device_id=None, seed=0, enable_conditionals=conditionals)
    def graph():
        jpegs, labels = dc.read_folder(root)
        images = augment(dc.random_resized_crop(jpegs, 24))
        dc.bind_state(version=1)
        images, targets = dc.mix(images, labels, mix)
        return dc.normalize(images), targets

    return dc.Loader(graph(), **options)


def as_they_are(images):
    return images


def test_the_batches_are_those_of_a_graph_without_conditionals(photos):
    for policy in (dc.OneOf([dc.CutMix(), dc.Mixup(), dc.Cutout()]), None):
        with_them, without = (loader_of(photos, as_they_are, conditionals=on, mix=policy) for on in (True, False))
        assert take(with_them, 6) == take(without, 6)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_resumed_run_has_the_same_batches_for_any_number_of_threads(photos, name):
    loader = loader_of(photos, AUGMENTATIONS[name])
    take(loader, 3)
    state = json.loads(json.dumps(loader.state_dict()))
    expected = take(loader, 4)
    resumed = loader_of(photos, AUGMENTATIONS[name], threads=2)
    resumed.load_state_dict(state)
    assert take(resumed, 4) == expected
    assert len(set(expected)) == 4


def test_bad_files_are_replaced(tmp_path):
    root = write_photos(tmp_path / "photos")
    bad = sorted(root.rglob("*.jpg"))[4]
    BAD["data"](bad)
    log = tmp_path / "bad.jsonl"
    loader = loader_of(root, AUGMENTATIONS["own"], on_error="replace", max_bad=0.1, bad_log=log)
    assert len(take(loader, 12)) == 12
    assert {json.loads(line)["path"] for line in log.read_text().splitlines()} <= {str(bad)}


def test_a_state_of_another_augmentation_is_refused(photos):
    state = loader_of(photos, AUGMENTATIONS["own"]).state_dict()
    with pytest.raises(ValueError, match="load_state_dict"):
        loader_of(photos, AUGMENTATIONS["trivial"]).load_state_dict(state)


def test_a_fault_inside_an_if_is_raised_with_its_line(photos):
    def broken(array):
        raise KeyError("boom")

    def body(images):
        if fn.random.coin_flip(dtype=types.BOOL):
            images = fn.python_function(images, function=broken)
        return images

    with pytest.raises(RuntimeError, match=rf"fn\.python_function failed \(line \d+ of {__file__}, in body: "):
        take(loader_of(photos, body), 1)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_some_samples_of_a_batch_may_be_mixed_among_themselves(photos, chance):
    @pipeline_def(batch_size=6, num_threads=1, device_id=None, seed=0, enable_conditionals=True)
    def graph():
        jpegs, labels = dc.read_folder(photos)
        images, targets = dc.random_resized_crop(jpegs, 24), fn.one_hot(labels, num_classes=3)
        if fn.random.coin_flip(probability=chance, dtype=types.BOOL):
            images, targets = dc.mix(images, labels, dc.Mixup())
        return dc.normalize(images), targets

    rows = np.concatenate([targets.numpy() for _, targets in dc.Loader(graph())])
    assert rows.sum(1) == pytest.approx(1)
    assert (rows.max(1) < 1).any() == (chance > 0)


def test_holes_from_inside_an_if_are_filled_inside_it_and_refused_outside(photos):
    def loader(inside):
        @pipeline_def(batch_size=6, num_threads=1, device_id=None, seed=0, enable_conditionals=True)
        def graph():
            jpegs, labels = dc.read_folder(photos)
            images = dc.random_resized_crop(jpegs, 24)
            if fn.random.coin_flip(dtype=types.BOOL):
                images, _ = dc.mix(images, labels, dc.Cutout())
                result = dc.normalize(images) if inside else images
            else:
                result = dc.normalize(images) if inside else images
            return result if inside else dc.normalize(result)

        return dc.Loader(graph())

    with pytest.raises(ValueError, match=r"Cutout is inside an if of the graph.*Normalize inside the if, too"):
        loader(inside=False)
    (images,) = next(iter(loader(inside=True)))
    assert len({bool((image == 0).all(0).any()) for image in images}) == 2


def test_the_fused_pass_works_in_it(photos):
    if not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    batches = []
    for conditionals in (False, True):
        finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(24))

        @pipeline_def(batch_size=6, num_threads=1, device_id=None, seed=0, enable_conditionals=conditionals)
        def graph(finish=finish):
            jpegs, labels = dc.read_folder(photos)
            return finish.inputs(dc.random_crop(jpegs), labels)

        batches.append(bits(next(iter(dc.Loader(graph(), finish=finish)))))
    assert batches[0] == batches[1]
    assert np.any(np.frombuffer(batches[0][0], np.float32))
