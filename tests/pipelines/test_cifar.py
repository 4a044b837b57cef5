"""CIFAR from its archives: every pixel and label, no code run, converted once and whole."""

import json
import multiprocessing
import os
import pickle
import signal
import tarfile
from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.sources import cifar_archive, cifar_record, convert_cifar
from pipelines import cifar, imagenet
from tests.helpers import tally
from tests.helpers.cifar_fixtures import FORMS, HUNDRED, TEN, make_data, pack, write_folder, write_pickle

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
SITE = "https://www.cs.toronto.edu/~kriz/cifar.html"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dali_cutmix"


@pytest.fixture(scope="session")
def forms(tmp_path_factory):
    """Of each form: its images and labels, its folder and its archive."""
    made = {}
    for name in FORMS:
        data = make_data(name)
        root = write_folder(tmp_path_factory.mktemp("cifar"), name, data)
        made[name] = (data, root, pack(root))
    return made


@pytest.fixture
def folder(tmp_path):
    """``folder(name)``: a form of one's own, to damage."""
    return lambda name, **options: write_folder(tmp_path / "own", name, make_data(name, **options))


def seen(path, split, **options):
    """Pixels as validation sees them, N×32×32×3, and labels."""
    options = {"batch_size": 4, "size": 32, "resize": 32, "device": "cpu"} | PLAIN | options
    batches = list(imagenet.val(partial(cifar.read, path, split), **options))
    images, labels = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    assert (images == images.astype(np.uint8)).all()
    return images.transpose(0, 2, 3, 1).astype(np.uint8), labels


# What is read


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_validation_sees_every_pixel_and_label_of_the_archive(forms, name, split, packed):
    data, root, archive = forms[name]
    images, labels = seen(archive if packed else root, split)
    np.testing.assert_array_equal(images, data[split][0])
    np.testing.assert_array_equal(labels, data[split][1])


@pytest.mark.parametrize("name", ["cifar-10-batches-py", "cifar-100-python"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_it_is_what_torchvision_reads(forms, name, split):
    _, root, archive = forms[name]
    base = torchvision.datasets.CIFAR10 if name == "cifar-10-batches-py" else torchvision.datasets.CIFAR100

    class Unchecked(base):
        train_list, test_list = ([(file, None) for file, _ in files] for files in (base.train_list, base.test_list))
        meta = base.meta | {"md5": None}

    theirs = Unchecked(root.parent, train=split == "train")
    images, labels = seen(archive, split)
    np.testing.assert_array_equal(images, theirs.data)
    assert labels.tolist() == theirs.targets
    assert loader_of(archive).classes == tuple(theirs.classes)


@pytest.mark.parametrize("name", FORMS)
def test_classes_have_their_names(forms, name):
    loader = loader_of(forms[name][2])
    assert loader.classes == (TEN if name.startswith("cifar-10-") else HUNDRED)
    assert loader.num_classes == len(loader.classes)


@pytest.mark.parametrize("name", FORMS)
def test_dalis_own_reader_reads_the_record_too(forms, name):
    data, _, archive = forms[name]
    record = convert_cifar(archive)

    @pipeline_def(batch_size=len(data["train"][1]), num_threads=1, device_id=None)
    def graph():
        files = {"path": [str(record / "train.rec")], "index_path": [str(record / "train.idx")]}
        encoded, labels = fn.readers.mxnet(**files)
        return fn.decoders.image(encoded), labels

    images, labels = graph().run()
    np.testing.assert_array_equal(images.as_array(), data["train"][0])
    np.testing.assert_array_equal(labels.as_array()[:, 0], data["train"][1])


def test_pixels_that_python_2_stored_column_by_column_are_read_right(folder):
    root = folder("cifar-100-python")
    data = make_data("cifar-100-python")
    for split, file in {"train": "train", "val": "test"}.items():
        rows = np.asfortranarray(data[split][0].transpose(0, 3, 1, 2).reshape(-1, 3072))
        write_pickle(root / file, {b"data": rows, b"fine_labels": data[split][1].tolist()})
    np.testing.assert_array_equal(seen(root, "val")[0], data["val"][0])


@pytest.mark.parametrize("name", FORMS)
def test_the_forms_are_known_by_their_names_and_by_what_is_in_them(forms, name, tmp_path):
    _, root, archive = forms[name]
    renamed = tmp_path / "mine.tgz"
    renamed.write_bytes(archive.read_bytes())
    moved = tmp_path / "mine"
    moved.symlink_to(root)
    for path in (archive, str(archive), root, str(root), renamed, moved, tmp_path / "missing" / FORMS[name]):
        assert cifar.is_cifar(path), path
    np.testing.assert_array_equal(seen(renamed, "val")[0], seen(moved, "val")[0])


def test_what_is_no_cifar_is_not_taken_for_it(tmp_path, photo_folder):
    (tmp_path / "meta").touch()
    (tmp_path / "train").mkdir()
    (tmp_path / "notes.txt").write_text("train")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "notes.txt", "meta/train")
    for path in (tmp_path, photo_folder, tmp_path / "missing", *tmp_path.iterdir()):
        assert not cifar.is_cifar(path), path


# The record


def test_it_is_converted_once(forms, monkeypatch, cache):
    archive = forms["cifar-10-batches-bin"][2]
    first = convert_cifar(archive)
    monkeypatch.setattr(tarfile, "open", None)
    assert convert_cifar(archive) == first
    assert first.parent == cache
    assert {path.name for path in first.iterdir()} == {"classes.json", "train.idx", "train.rec", "val.idx", "val.rec"}


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_another_archive_at_the_same_path_is_converted_anew(folder, packed):
    root = folder("cifar-100-binary")
    path = pack(root) if packed else root
    before = seen(path, "val")[0]
    changed = (root / "test.bin").read_bytes()[::-1]
    (root / "test.bin").write_bytes(bytes(b % 100 if i % 3074 < 2 else b for i, b in enumerate(changed)))
    if packed:
        pack(root)
    after = seen(path, "val")[0]
    assert (after != before).any()
    assert before.shape == after.shape


def test_two_processes_at_once_make_one_record(forms, cache):
    archive = forms["cifar-10-batches-py"][2]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        first, second = pool.map(convert_cifar, [archive] * 2, chunksize=1)
    assert first == second
    assert list(cache.iterdir()) == [first]


def test_a_killed_conversion_leaves_nothing_half(forms, monkeypatch, cache):
    archive = forms["cifar-10-batches-bin"][2]

    def killed(path, samples):
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    def convert():
        monkeypatch.setattr(cifar_record, "write_recordio", killed)
        convert_cifar(archive)

    process = multiprocessing.get_context("fork").Process(target=convert)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not [path for path in cache.iterdir() if not path.name.startswith(".")]
    assert len(seen(archive, "train")[0]) == 30
    tally.count("kills")


def test_a_cache_that_cannot_be_written_says_where_and_what_to_do(forms, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = (
        r"binary\.tar\.gz: the converted archive cannot be written \(.*\); free some space, or set XDG_CACHE_HOME"
        ".*file/dali_cutmix"
    )
    with pytest.raises(OSError, match=told):
        convert_cifar(forms["cifar-10-batches-bin"][2])


def test_a_full_disk_leaves_nothing(forms, monkeypatch, cache):
    def full(path, samples):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cifar_record, "write_recordio", full)
    with pytest.raises(OSError, match="No space left on device"):
        convert_cifar(forms["cifar-10-batches-bin"][2])
    assert list(cache.iterdir()) == []


# What is refused


class Evil:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("file", ["data_batch_3", "batches.meta", "test_batch"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_archive_runs_no_code(folder, tmp_path, file, protocol):
    root = folder("cifar-10-batches-py")
    trace = tmp_path / "trace"
    content = pickle.dumps([Evil(os.mkdir, str(trace))], protocol)
    pickle.loads(content)
    trace.rmdir()  # as pickle itself would have it
    (root / file).write_bytes(content)
    told = rf"python\.tar\.gz: {file} is damaged or not a file of CIFAR \(it asks for posix\.mkdir"
    with pytest.raises(ValueError, match=told):
        convert_cifar(pack(root))
    assert not trace.exists()
    tally.count("bad")


@pytest.mark.parametrize(
    "evil", [Evil(eval, "1"), Evil(np.load, "x"), Evil(np.array, [1]), Evil(getattr, "x", "upper"), Evil(np.dtype, "O")]
)
def test_a_pickle_may_ask_for_nothing_but_an_array_of_pixels(folder, evil):
    root = folder("cifar-100-python")
    (root / "train").write_bytes(pickle.dumps({b"data": evil, b"fine_labels": [1]}, 4))
    with pytest.raises(ValueError, match="train is damaged or not a file of CIFAR"):
        convert_cifar(root)
    tally.count("bad")


def test_an_array_of_objects_is_refused_and_never_made(folder):
    root = folder("cifar-100-python")
    objects = np.array([[None] * 3072], object)
    write_pickle(root / "train", {b"data": objects, b"fine_labels": [1]})
    with pytest.raises(ValueError, match=r"train is damaged or not a file of CIFAR \(its data are not N×3072 uint8\)"):
        convert_cifar(root)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9, 0.9999])
def test_a_truncated_archive_is_named(folder, name, share, cache):
    archive = pack(folder(name))
    os.truncate(archive, int(archive.stat().st_size * share))
    with pytest.raises(
        ValueError, match=rf"{archive.name}: damaged or truncated \(.*\); download it again from {SITE}"
    ):
        convert_cifar(archive)
    assert cifar.is_cifar(archive)
    assert not cache.exists()
    tally.count("bad")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_flipped_bits_in_an_archive_are_noticed(folder, place):
    archive = pack(folder("cifar-10-batches-bin"))
    content = bytearray(archive.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{archive.name}: damaged or truncated"):
        convert_cifar(archive)
    tally.count("bad")


def test_noise_in_a_pickle_is_named_whatever_it_makes_of_it(folder):
    root, rng = folder("cifar-10-batches-py", per_file=1), np.random.default_rng(0)
    good = (root / "data_batch_2").read_bytes()
    for _ in range(200):
        content = bytearray(good)
        for at in rng.integers(0, len(content) if rng.random() < 0.5 else 120, 3):
            content[at] = rng.integers(256)
        (root / "data_batch_2").write_bytes(content)
        try:
            list(cifar_archive.Cifar(root).images("train"))
        except ValueError as error:
            assert "data_batch_2 is damaged or not a file of CIFAR (" in str(error)  # noqa: PT017  (other pixels are none)
        tally.count("bad")


def test_an_archive_of_something_else_says_what_is_wanted(tmp_path):
    (tmp_path / "notes.txt").write_text("train")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "notes.txt", "meta/train")
    (tmp_path / "other").mkdir()
    for name in ("other.tar.gz", "other"):
        told = rf"{name}: no CIFAR in it; expected cifar-10-python\.tar\.gz, .* from {SITE}, or the folder that one"
        with pytest.raises(ValueError, match=told):
            convert_cifar(tmp_path / name)
    with pytest.raises(ValueError, match=r"notes\.txt: damaged or truncated \(.*\)"):
        convert_cifar(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=rf"gone\.tar\.gz: no such file or folder; expected .*{SITE}"):
        convert_cifar(tmp_path / "gone.tar.gz")


MISSING = {"cifar-10-batches-py": "data_batch_4", "cifar-10-batches-bin": "test_batch.bin", "cifar-100-python": "train"}


@pytest.mark.parametrize(("name", "file"), MISSING.items())
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_a_missing_file_is_named(folder, name, file, packed):
    root = folder(name)
    (root / file).unlink()
    path = pack(root) if packed else root
    with pytest.raises(FileNotFoundError, match=rf"{path.name}: it has no {file}; download it again from {SITE}"):
        convert_cifar(path)
    tally.count("bad")


def spoiled_pickle(**changes):
    batch = {b"data": np.zeros((3, 3072), np.uint8), b"fine_labels": [1, 2, 3]}
    batch |= {name.encode(): value for name, value in changes.items()}
    return {name: value for name, value in batch.items() if value is not None}


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (spoiled_pickle(fine_labels=[1, 2]), "3 images, 2 labels"),
        (spoiled_pickle(fine_labels=[1, 2, 100]), "a label is 100; allowed are 0 to 99"),
        (spoiled_pickle(fine_labels=[1, -2, 3]), "a label is -2; allowed are 0 to 99"),
        (spoiled_pickle(fine_labels=[1, 2.5, 3]), "its labels are not whole numbers"),
        (spoiled_pickle(fine_labels=["a", "b", "c"]), "its labels are not whole numbers"),
        (spoiled_pickle(fine_labels=None), "it has no fine_labels"),
        (spoiled_pickle(data=None), "it has no data"),
        (spoiled_pickle(data=np.zeros((3, 3071), np.uint8)), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=np.zeros((3, 3072), np.int8)), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=np.zeros((3, 32, 96), np.uint8)), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=[[0] * 3072] * 3), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=np.zeros((0, 3072), np.uint8), fine_labels=[]), "it has no images"),
        ([1, 2, 3], "it does not hold a dict"),
    ],
)
def test_a_batch_that_is_not_as_it_should_be_is_named(folder, batch, told):
    root = folder("cifar-100-python")
    write_pickle(root / "train", batch)
    with pytest.raises(
        ValueError, match=rf"train is damaged or not a file of CIFAR \({told}\); download it again from"
    ):
        convert_cifar(root)
    tally.count("bad")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (bytes(3074 * 2 + 1), "6149 bytes, not a multiple of 3074"),
        (b"", "it has no images"),
        (b"\x00\x64" + bytes(3072), "a label is 100; allowed are 0 to 99"),
    ],
)
def test_a_binary_file_that_is_not_as_it_should_be_is_named(folder, content, told):
    root = folder("cifar-100-binary")
    (root / "test.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"test\.bin is damaged or not a file of CIFAR \({told}\); download it again"):
        convert_cifar(pack(root))
    tally.count("bad")


@pytest.mark.parametrize("names", [b"", b"\n\n", b"\xff\xfe\n"])
def test_names_that_are_none_are_refused(folder, names):
    root = folder("cifar-10-batches-bin")
    (root / "batches.meta.txt").write_bytes(names)
    with pytest.raises(ValueError, match=r"batches\.meta\.txt is damaged or not a file of CIFAR \("):
        convert_cifar(root)


@pytest.mark.parametrize("split", ["test", "Train", None])
def test_a_wrong_split_is_refused(forms, split):
    with pytest.raises(ValueError, match=rf"split={split!r} given; allowed are 'train' and 'val'"):
        seen(forms["cifar-10-batches-py"][2], split)


# Training


def loader_of(root, **options):
    return cifar.train(root, **{"batch_size": 5, "device": "cpu", "num_threads": 1} | options)


def test_training_crops_are_windows_of_the_padded_images_with_their_labels(forms):
    data, _, archive = forms["cifar-100-python"]
    windows = {}
    for image, label in zip(*data["train"], strict=True):
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
        for crop in (padded[y : y + 32, x : x + 32] for y in range(9) for x in range(9)):
            windows[crop.tobytes()] = label
            windows[crop[:, ::-1].tobytes()] = label
    flipped = {p: [] for p in (0.0, 1.0)}
    for flip, crops in flipped.items():
        for images, targets in loader_of(archive, mix=None, flip=flip, batch_size=6, **PLAIN):
            for crop, target in zip(images.permute(0, 2, 3, 1).numpy().astype(np.uint8), targets, strict=True):
                assert windows[crop.tobytes()] == target.argmax()
                crops.append(crop)
    for plain, mirrored in zip(*flipped.values(), strict=True):
        np.testing.assert_array_equal(plain, mirrored[:, ::-1])


def test_training_normalizes_by_the_authors_values_and_mixes_half_of_the_batches(forms):
    archive = forms["cifar-10-batches-py"][2]
    assert cifar.MEAN == (125.3, 123.0, 113.9)
    assert cifar.STD == (63.0, 62.1, 66.7)
    options = {"mix": None, "padding": 0, "flip": 0.0}
    plain, _ = next(iter(loader_of(archive, **options, **PLAIN)))
    normalized, _ = next(iter(loader_of(archive, **options)))
    mean, std = (torch.tensor(levels).view(3, 1, 1) for levels in (cifar.MEAN, cifar.STD))
    torch.testing.assert_close(normalized, (plain - mean) / std, rtol=0, atol=1e-6)
    loader, mixed = loader_of(archive), []
    for _ in range(20):
        for images, targets in loader:
            assert images.shape == (5, 3, 32, 32)
            assert targets.shape == (5, 10)
            torch.testing.assert_close(targets.sum(1), torch.ones(5))
            mixed.append(bool((targets.max(1).values < 1).any()))
    assert 0.3 < np.mean(mixed) < 0.6  # some mixed batches have partners of the same class, or an empty box


def test_training_takes_folders_of_classes_and_verbs_too(forms, photo_folder):
    _, root, archive = forms["cifar-10-batches-bin"]
    assert loader_of(photo_folder, size=16).classes == ("a", "b", "c", "d")
    assert len(loader_of([photo_folder])) == 4
    verb = partial(cifar.read, archive, "train")
    for ours, theirs in zip(loader_of(verb), loader_of(root), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(FileNotFoundError, match="gone"):
        loader_of(photo_folder / "gone")


def test_imagenets_crops_work_on_it_as_well(forms):
    read = partial(cifar.read, forms["cifar-10-batches-bin"][2], "train")
    images, targets = next(iter(imagenet.train(read, batch_size=4, size=24, device="cpu")))
    assert images.shape == (4, 3, 24, 24)
    assert targets.shape == (4, 10)


def test_ranks_share_an_epoch_and_every_option_reaches_its_place(forms):
    archive, found = forms["cifar-10-batches-py"][2], []
    options = {"targets": "pairs", "dtype": "float16", "channels_last": True, "prefetch": 1, "seed": 3, "size": 24}
    for rank in range(2):
        loader = loader_of(archive, shard=(rank, 2), batch_size=3, num_classes=12, mix=dc.Mixup(), **options, **PLAIN)
        for images, labels, lam in loader:
            assert images.dtype == torch.float16
            assert images.shape == (3, 3, 24, 24)
            assert images.is_contiguous(memory_format=torch.channels_last)
            assert lam.shape == (3,)
            found += labels[:, 0].tolist()
    assert sorted(found) == sorted(forms["cifar-10-batches-py"][0]["train"][1].tolist())
    for wrong, told in {
        "on_error": "on_error='x' given",
        "max_pixels": "max_pixels='x' given",
        "padding": "padding='x' given",
        "flip": "flip='x' given",
        "device": "device='x' given",
    }.items():
        with pytest.raises(ValueError, match=told):
            loader_of(archive, **{wrong: "x"})
    with pytest.raises(ValueError, match="num_classes=9 given, but what is read has 10 classes"):
        loader_of(archive, num_classes=9)


def test_a_bad_image_is_replaced_and_logged(photo_folder, tmp_path):
    for path in photo_folder.rglob("*.jpg"):
        (tmp_path / "data" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path.parent.name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data" / "b" / "01.jpg").write_text("no picture")
    options = {"on_error": "replace", "max_bad": 0.1, "bad_log": tmp_path / "bad.jsonl"}
    loader = loader_of(tmp_path / "data", **options)
    assert [len(list(loader)) for _ in range(3)] == [4, 4, 4]
    assert "b/01.jpg" in (tmp_path / "bad.jsonl").read_text()
    tally.count("bad")


def test_training_goes_on_bit_for_bit_from_the_middle_of_an_epoch(forms):
    archive = forms["cifar-10-batches-py"][2]
    reference = iter(loader := loader_of(archive))
    for _ in range(2):
        next(reference)
    saved = json.dumps(loader.state_dict())
    expected = [[tensor.numpy().tobytes() for tensor in batch] for batch in (*reference, *loader)]
    resumed = loader_of(archive)
    resumed.load_state_dict(json.loads(saved))
    assert [[tensor.numpy().tobytes() for tensor in batch] for _ in range(2) for batch in resumed] == expected
    tally.count("resumes")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")
def test_the_training_graph_for_a_gpu_is_wired_right(forms, monkeypatch):
    for name, value in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        loader_of(forms["cifar-10-batches-py"][2], device="cuda:0")
