"""A fault of the graph is raised with the operator's name; good files are never taken for bad ones."""

import json
import re
import time

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from PIL import Image

import dali_cutmix as dc
from tests.helpers.bad_files import BAD, encoded, photo
from tests.helpers.images import save
from tests.helpers.loaders import bits
from tests.helpers.record_loaders import written

FILES, BATCH = 18, 8


@pytest.fixture
def folder(tmp_path):
    """Photographs of several sizes in three classes."""
    for number in range(FILES):
        save(Image.new("RGB", (60 + 5 * number, 80), (10 * number,) * 3), tmp_path / f"class{number % 3}/{number}.jpg")
    return tmp_path


@pytest.fixture(params=["folder", "webdataset"])
def read(request, folder):
    """The same samples, by the verb that reads a folder and by one that reads records."""
    if request.param == "folder":
        return lambda **options: dc.read_folder(folder, **options)
    files = sorted(folder.rglob("*.jpg"))
    return written("webdataset", folder / "shards", [(path.read_bytes(), int(path.stem) % 3) for path in files])


def loader_of(read, body, on_error="raise", log="bad.jsonl", **options):
    @pipeline_def(batch_size=BATCH, num_threads=2, device_id=None, seed=0)
    def graph():
        return body(*read(shuffle=False))

    return dc.Loader(graph(), on_error=on_error, max_bad=1.0, bad_log=log, **options)


def small(jpegs):
    return dc.random_resized_crop(jpegs, 32)


def broken(array):
    raise KeyError("boom")


def broken_for_label_1(image, label):
    if label == 1:
        raise KeyError("boom")
    return image


def forgotten_resize(jpegs, labels):
    return dc.mix(dc.random_crop(jpegs), labels, dc.CutMix(), num_classes=3)


def exception(jpegs, labels):
    return fn.python_function(small(jpegs), function=broken), labels


def exception_for_one_label(jpegs, labels):
    return fn.python_function(small(jpegs), labels, function=broken_for_label_1), labels


def exception_on_the_labels(jpegs, labels):
    return small(jpegs), fn.python_function(labels, function=broken)


def wrong_reshape(jpegs, labels):
    return fn.reshape(small(jpegs), shape=[7, 7]), labels


def wrong_crop(jpegs, labels):
    return fn.crop(small(jpegs), crop=(64, 64)), labels


def region_larger_than_some_images(jpegs, labels):
    return fn.resize(fn.decoders.image_crop(jpegs, crop=(80, 100)), size=[8, 8]), labels


def division_by_zero(jpegs, labels):
    """DALI raises a ValueError here."""
    return small(jpegs), labels // (labels - labels)


def label_that_is_no_class(jpegs, labels):
    return dc.mix(small(jpegs), labels + 7, dc.CutMix(), num_classes=5)


def damaged_by_the_graph(jpegs, labels):
    """Bytes that the user's own function spoils, before DALI decodes them."""
    spoiled = fn.python_function(jpegs, labels, function=lambda encoded, label: encoded[: 20 if label == 1 else None])
    return small(spoiled), labels


FAULTS = {
    forgotten_resize: ("fn.python_function", "mix: images of different shapes in one batch"),
    exception: ("fn.python_function", "KeyError: 'boom'"),
    exception_for_one_label: ("fn.python_function", "KeyError: 'boom'"),
    exception_on_the_labels: ("fn.python_function", "KeyError: 'boom'"),
    wrong_reshape: ("fn.reshape", "Requested shape:\t7 x 7"),
    wrong_crop: ("fn.crop", "Slice can't be placed out of bounds"),
    region_larger_than_some_images: ("fn.decoders.image_crop", "The cropping window"),
    division_by_zero: ("math.div", "Integer division by zero"),
    label_that_is_no_class: ("fn.python_function", "labels are 0 to 4"),
    damaged_by_the_graph: ("fn.python_function", "its header is damaged or cut off"),
}


def assert_raised_as_it_is(loader, log, message, operator=None):
    """Twice, quickly, and with everything as it was before."""
    before, began = json.dumps(loader.state_dict()), time.monotonic()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message) as caught:
            next(iter(loader))
        assert not isinstance(caught.value, dc.DecodeError)
        if operator:
            assert re.match(rf"{operator} failed \(line \d+ of .*\)", str(caught.value))
            assert "no file was replaced or logged" in str(caught.value).splitlines()[0]
    assert time.monotonic() - began < 20
    assert json.dumps(loader.state_dict()) == before
    assert not log.exists()


@pytest.mark.parametrize("on_error", ["raise", "replace"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_graph_is_raised_with_its_operator_and_no_file_is_blamed(read, tmp_path, fault, on_error):
    log = tmp_path / "bad.jsonl"
    operator, message = FAULTS[fault]
    assert_raised_as_it_is(loader_of(read, fault, on_error, log), log, re.escape(message), re.escape(operator))


def test_the_error_says_where_in_the_users_graph_the_operator_is(folder, tmp_path):
    loader = loader_of(lambda **options: dc.read_folder(folder, **options), wrong_reshape)
    with pytest.raises(RuntimeError) as caught:
        next(iter(loader))
    line = wrong_reshape.__code__.co_firstlineno + 1
    assert str(caught.value).startswith(f"fn.reshape failed (line {line} of {__file__}, in wrong_reshape: ")


def test_a_fault_in_a_later_batch_leaves_the_batches_before_it(folder, tmp_path):
    """The loader stands after the last good batch, and goes on with the very next one once the fault is gone."""
    failing = [False]

    def sometimes(image):
        if failing[0] and image[0, 0, 0] >= 40:
            raise ValueError("not this one")
        return image

    def body(jpegs, labels):
        images = fn.resize(fn.decoders.image(jpegs), size=[8, 8])
        return fn.python_function(images, function=sometimes), labels

    def make():
        return loader_of(lambda **options: dc.read_folder(folder, **options), body, "replace", tmp_path / "bad.jsonl")

    expected = [bits(batch) for batch in make()]
    failing[0] = True
    loader = make()
    found = []
    with pytest.raises(RuntimeError, match="not this one"):
        found.extend(bits(batch) for batch in loader)
    assert found == expected[: len(found)]
    state = loader.state_dict()
    failing[0] = False
    other = make()
    other.load_state_dict(state)
    assert found + [bits(batch) for batch in other] == expected


@pytest.mark.parametrize("what", ["text", "data", "link to nowhere", "bomb"])
@pytest.mark.parametrize("on_error", ["raise", "replace"])
def test_a_bad_file_in_a_faulty_graph_is_the_only_one_blamed(folder, tmp_path, what, on_error):
    """The bad file is found first; then the graph's own fault is raised, again and again."""
    files = sorted(folder.rglob("*.jpg"))
    BAD[what](files[1])
    log = tmp_path / "bad.jsonl"
    loader = loader_of(lambda **options: dc.read_folder(folder, **options), exception, on_error, log)
    if on_error == "raise":
        with pytest.raises(dc.DecodeError, match=re.escape(str(files[1]))):
            next(iter(loader))
        return
    for _ in range(2):
        with pytest.raises(RuntimeError, match="boom"):
            next(iter(loader))
    assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == [str(files[1])]


def test_a_bad_file_that_comes_later_is_not_blamed_for_a_fault_of_the_graph(folder, tmp_path):
    BAD["text"](sorted(folder.rglob("*.jpg"))[BATCH + 2])
    log = tmp_path / "bad.jsonl"
    loader = loader_of(lambda **options: dc.read_folder(folder, **options), exception, "replace", log)
    assert_raised_as_it_is(loader, log, "boom", "fn.python_function")


def test_an_exception_that_comes_once_is_raised_once_and_no_batch_is_lost(folder, tmp_path):
    """It is not tried again in silence, as a disk that fails for a moment is."""
    calls = []

    def once(image):
        calls.append(1)
        if len(calls) == BATCH + 3:
            raise ValueError("now and then")
        return image

    def make(function):
        def body(jpegs, labels):
            return fn.python_function(fn.resize(fn.decoders.image(jpegs), size=[8, 8]), function=function), labels

        return loader_of(lambda **options: dc.read_folder(folder, **options), body)

    expected = [bits(batch) for batch in make(np.copy)]
    loader, found = make(once), []
    with pytest.raises(RuntimeError, match="now and then"):
        found.extend(bits(batch) for batch in loader)
    rest = make(np.copy)
    rest.load_state_dict(loader.state_dict())
    assert found + [bits(batch) for batch in rest] == expected


def test_images_of_another_number_of_channels_are_no_bad_files(folder, tmp_path):
    """A PNG with an alpha channel among JPEGs, decoded with all that it has."""
    path = sorted(folder.rglob("*.jpg"))[2]
    Image.new("RGBA", (70, 80)).save(path, format="PNG")

    def body(jpegs, labels):
        images = fn.resize(fn.decoders.image(jpegs, output_type=types.ANY_DATA), size=[32, 32])
        return dc.mix(images, labels, dc.CutMix())

    log = tmp_path / "bad.jsonl"
    loader = loader_of(lambda **options: dc.read_folder(folder, **options), body, "replace", log)
    assert_raised_as_it_is(loader, log, r"\(32, 32, 4\)", "fn.python_function")


@pytest.mark.parametrize("on_error", ["raise", "replace"])
def test_images_of_several_sizes_are_refused_at_the_hand_off_and_again(read, tmp_path, on_error):
    """A resize that was forgotten in a graph that does not mix."""
    log = tmp_path / "bad.jsonl"
    loader = loader_of(read, lambda jpegs, labels: (dc.random_crop(jpegs), labels), on_error, log)
    assert_raised_as_it_is(loader, log, r"output 0 .* different shapes .*resize or crop")


@pytest.mark.parametrize("own", [False, True], ids=["our crop", "a decoder of the user's own"])
def test_a_file_that_fails_in_its_region_only_is_replaced_before_the_users_own_nodes(tmp_path, own):
    """Judged by reading and decoding alone: the user's function after it would fail as well, and is not to blame it."""
    for number in range(8):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{number}.jpg").write_bytes(photo())
    bmp = bytearray(54 + 4)
    bmp[:2], bmp[10], bmp[14], bmp[18], bmp[22], bmp[26] = b"BM", 54, 40, 1, 1, 1  # 0 bits for each pixel
    bmp[26:30] = bytes(4)
    bad = tmp_path / "a" / "3.jpg"
    bad.write_bytes(bmp)
    log = tmp_path / "bad.jsonl"

    def body(jpegs, labels):
        images = fn.decoders.image_random_crop(jpegs) if own else dc.random_crop(jpegs)
        return fn.python_function(fn.resize(images, size=[8, 8]), function=broken), labels

    loader = loader_of(lambda **options: dc.read_folder(tmp_path, **options), body, "replace", log)
    with pytest.raises(RuntimeError, match="boom"):
        next(iter(loader))
    assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == [str(bad)]


@pytest.mark.parametrize("form", ["TIFF", "JPEG2000"])
@pytest.mark.parametrize("on_error", ["raise", "replace"])
def test_a_decoder_of_the_users_own_decides_which_formats_are_good(tmp_path, form, on_error):
    """The verbs decode none of these by default; beside one that is cut off, the others were all called bad."""
    (tmp_path / "a").mkdir()
    for number in range(BATCH):
        content = encoded(Image.new("RGB", (40, 30), (20 * number,) * 3), form)
        (tmp_path / "a" / f"{number}.jpg").write_bytes(content[: len(content) // 2] if number == 3 else content)
    (tmp_path / "a" / "5.jpg").write_bytes(encoded(Image.new("RGB", (40, 30)), "GIF"))
    log = tmp_path / "bad.jsonl"

    def body(jpegs, labels):
        return fn.resize(fn.decoders.image(jpegs), size=[8, 8]), labels

    loader = loader_of(lambda **options: dc.read_folder(tmp_path, **options), body, on_error, log)
    if on_error == "raise":
        with pytest.raises(dc.DecodeError) as caught:
            next(iter(loader))
        assert re.findall(r"/(\d)\.jpg", str(caught.value).partition("DALI says")[0]) == ["3", "5"]
        return
    ((images, _),) = loader
    assert images.float().mean(dim=(1, 2, 3)).round().tolist() == [0, 20, 40, 80, 80, 120, 120, 140]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["path"][-5:], entry["kind"]) for entry in entries] == [
        ("3.jpg", "damaged"),
        ("5.jpg", "not supported"),
    ]
