"""Lists of files, several folders, S3, and folders that are scanned once only."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nvidia.dali import pipeline_def
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.sources import image_folder
from dali_cutmix.sources.sample_list import SampleList
from pipelines import imagenet
from tests.dali_cutmix.loader.test_loader import epoch_of, flat
from tests.helpers import tally
from tests.helpers.images import save


def loader_of(read, *arguments, batch_size=4, **reading):
    """Nothing but labels."""

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=0)
    def graph():
        _, labels = read(*arguments, **reading)
        return labels

    return dc.Loader(graph())


@pytest.fixture
def samples(tmp_path):
    """Ten paths in no order, each labelled by a number of its own."""
    paths = [tmp_path / f"{9 - i} ü" / f"{i}.jpg" for i in range(10)]
    for i, path in enumerate(paths):
        save(Image.new("L", (8, 8), 20 * i), path)
    return [(path, i) for i, path in enumerate(paths)]


# Lists


def test_a_list_is_read_in_its_own_order(samples):
    assert flat(epoch_of(loader_of(dc.read_files, samples, shuffle=False))) == list(range(10))
    assert flat(epoch_of(loader_of(dc.read_files, samples[::-1], shuffle=False))) == list(range(9, -1, -1))


def test_it_is_shuffled_as_a_folder(colour_folder):
    root = Path(colour_folder)
    files, labels, _ = image_folder.scan_folder(root)
    listed = loader_of(dc.read_files, [(root / f, n) for f, n in zip(files, labels, strict=True)], seed=4)
    scanned = loader_of(dc.read_folder, root, seed=4)
    assert [epoch_of(listed) for _ in range(3)] == [epoch_of(scanned) for _ in range(3)]


def test_a_list_trains_and_relative_paths_are_meant_from_here(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = [(path.relative_to(tmp_path), label) for path, label in samples]
    loader = imagenet.train(lambda **order: dc.read_files(relative, **order), batch_size=5, size=8, device="cpu")
    monkeypatch.chdir("/")
    assert [(tuple(images.shape), tuple(targets.shape)) for images, targets in loader] == [((5, 3, 8, 8), (5, 10))] * 2
    assert loader.num_classes == 10
    assert loader.classes == ()


def test_a_sample_may_be_listed_twice_and_classes_may_be_named(samples):
    loader = loader_of(dc.read_files, samples[:2] * 2, shuffle=False, classes=["zero", "one", "two"])
    assert epoch_of(loader) == [[0, 1, 0, 1]]
    assert loader.classes == ("zero", "one", "two")
    assert loader.num_classes == 3


def test_the_state_belongs_to_the_list_and_not_to_the_place(samples, tmp_path):
    saved = loader_of(dc.read_files, samples).state_dict()
    with pytest.raises(ValueError, match=r"files: '[0-9a-f]+' saved"):
        loader_of(dc.read_files, samples[::-1]).load_state_dict(saved)
    moved = tmp_path.rename(tmp_path.with_name("moved to another place"))
    again = loader_of(dc.read_files, [(moved / path.relative_to(tmp_path), label) for path, label in samples])
    again.load_state_dict(saved)
    tally.count("resumes")


def test_a_missing_file_of_a_list_is_named(samples):
    samples[3][0].unlink()
    loader = imagenet.val(lambda **order: dc.read_files(samples, **order), batch_size=5, size=8, resize=8, device="cpu")
    with pytest.raises(dc.DecodeError, match=r"6 ü/3\.jpg \(cannot be read: No such file or directory\)"):
        list(loader)
    tally.count("bad")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "no samples given; give at least one"),
        (["/a.jpg", "/b.jpg"], r"'/a\.jpg' \(first of 2\) given; wanted is \(path, label\) with a label of 0 or more"),
        ([("/a.jpg", 0), ("/b.jpg", -1)], r"\('/b\.jpg', -1\) given; wanted is \(path, label\)"),
        ([("/a.jpg", "cat")], r"\('/a\.jpg', 'cat'\) given"),
        ([("/a.jpg", 1.5)], r"\('/a\.jpg', 1\.5\) given"),
        ([("/a\nb.jpg", 0)], r"'a\\nb\.jpg': a name that is empty, ends with a space or holds a line break"),
        ([("/a.jpg ", 0), ("/b", 0)], r"'a\.jpg ': a name that is empty, ends with a space"),
        ([("", 0), ("/b", 0)], r"\('', 0\) \(first of 2\) given; wanted"),
        ([(7, 0)], r"\(7, 0\) \(first of 1\) given"),
        ([("s3://a/1.jpg", 0), ("/b.jpg", 0)], r"1 of 2 paths begin with s3://, below ''; wanted are local paths, or"),
        ([("s3://a/1.jpg", 0), ("s3://b/1.jpg", 0)], r"2 of 2 paths begin with s3://, below 's3://'; wanted"),
    ],
    ids=str,
)
def test_what_is_no_list_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        loader_of(dc.read_files, wrong)


def test_fewer_names_than_classes_are_refused(samples):
    with pytest.raises(ValueError, match="2 classes named, but labels go up to 9; name all, or none"):
        loader_of(dc.read_files, samples, classes=["a", "b"])


# Several folders


@pytest.fixture
def roots(tmp_path):
    for name in ("one/a/1", "one/b/2", "one/b/3", "two/b/4", "two/c/5"):
        save(Image.new("L", (8, 8)), tmp_path / f"{name}.jpg")
    return [tmp_path / "one", tmp_path / "two"]


def test_classes_of_several_folders_are_put_together_by_name(roots):
    loader = loader_of(dc.read_folder, roots, shuffle=False)
    assert loader.classes == ("a", "b", "c")
    assert flat(epoch_of(loader)) == [0, 1, 1, 1, 2]
    names = imagenet.val(roots, batch_size=1, size=8, resize=8, device="cpu")
    assert [labels.item() for _, labels in names] == [0, 1, 1, 1, 2]


def test_one_of_several_that_is_missing_is_named(roots):
    with pytest.raises(FileNotFoundError, match="three: no such folder"):
        loader_of(dc.read_folder, [*roots, roots[0].parent / "three"])
    with pytest.raises(ValueError, match="read_folder: no path given; give at least one"):
        loader_of(dc.read_folder, [])
    with pytest.raises(ValueError, match="s3://bucket/train given; on S3 only single images are read, from a list"):
        loader_of(dc.read_folder, "s3://bucket/train")


@pytest.mark.parametrize("target", ["x", "nowhere"])
def test_a_class_that_is_a_link_to_nowhere_or_to_itself_is_not_left_out(roots, target):
    (roots[0] / "x").symlink_to(target)
    with pytest.raises(ValueError, match="one/x: a broken link; fix or remove it"):
        loader_of(dc.read_folder, roots)
    tally.count("bad")


# Folders that are scanned once


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder of 12 images that count as many, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 10)
    monkeypatch.setattr(image_folder, "_SETTLED", -60.0)
    for i in range(12):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "ab"[i % 2] / f"{i}.jpg").touch()
    return tmp_path


def scans(root, monkeypatch, **options):
    """How many class folders are read, and what is found."""
    found, real = [], image_folder._images

    def spy(root, name):
        found.append(name)
        return real(root, name)

    with monkeypatch.context() as patch:
        patch.setattr(image_folder, "_images", spy)
        listing, classes = image_folder.list_folders([str(root)], **options)
    return len(found), [listing.name(n) for n in range(len(listing))], classes


def test_a_large_folder_is_scanned_once(cache, monkeypatch):
    first = scans(cache / "data", monkeypatch)
    assert first[0] == 2
    assert scans(cache / "data", monkeypatch) == (0, *first[1:])
    assert scans(cache / "data", monkeypatch, cache=False) == first


@pytest.mark.parametrize("change", ["add", "remove", "rename", "class"])
def test_and_again_when_it_changes(cache, monkeypatch, change):
    scans(cache / "data", monkeypatch)
    time.sleep(0.02)
    changes = {
        "add": lambda: (cache / "data" / "a" / "new.jpg").touch(),
        "remove": lambda: (cache / "data" / "a" / "0.jpg").unlink(),
        "rename": lambda: (cache / "data" / "a" / "0.jpg").rename(cache / "data" / "a" / "00.jpg"),
        "class": lambda: (cache / "data" / "b").rename(cache / "data" / "c"),
    }
    changes[change]()
    assert scans(cache / "data", monkeypatch) == scans(cache / "data", monkeypatch, cache=False)


def test_a_folder_that_changed_a_moment_ago_is_not_remembered(cache, monkeypatch):
    monkeypatch.setattr(image_folder, "_SETTLED", 60.0)
    assert [scans(cache / "data", monkeypatch)[0] for _ in range(2)] == [2, 2]


def test_a_damaged_cache_is_not_believed(cache, monkeypatch):
    first = scans(cache / "data", monkeypatch)
    (kept,) = (cache / "cache" / "dali_cutmix" / "lists").iterdir()
    content = kept.read_bytes()
    for damaged in (content[:-3], b"", content.replace(b"a/0.jpg", b"a/9.jpg"), b"\0" * 9):
        kept.write_bytes(damaged)
        assert scans(cache / "data", monkeypatch) == first


def test_without_a_place_for_a_cache_the_folder_is_scanned(cache, monkeypatch):
    (cache / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))
    assert [scans(cache / "data", monkeypatch)[0] for _ in range(2)] == [2, 2]


def test_small_folders_leave_nothing_in_the_cache(cache, monkeypatch):
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 13)
    scans(cache / "data", monkeypatch)
    assert not (cache / "cache").exists()


# The listing itself


def test_a_listing_gives_back_what_it_was_made_of():
    names = ["a b/it's 1, 2.jpg", "übung/ß ✓.jpg", "x=y;z/#1.jpg", "q/5 6 7", "\udcff.jpg", "t\tab.jpg"]
    listing = SampleList.of(names, range(6))
    assert [listing.name(n) for n in range(6)] == names
    assert [listing.label(n) for n in range(6)] == list(range(6))
    replaced = listing.replaced({0: 5, 3: 2, 5: 4})
    assert [replaced.label(n) for n in range(6)] == [5, 1, 2, 2, 4, 4]
    assert [replaced.name(n) for n in range(6)] == [names[i] for i in (5, 1, 2, 2, 4, 4)]
    assert len(SampleList.numbered(12)) == 12
    assert [SampleList.numbered(12).label(n) for n in (0, 9, 11)] == [0, 9, 11]


# S3


@pytest.fixture(scope="module")
def bucket(photo_folder):
    """A server for S3 in a process of its own, with the photographs in a bucket."""
    boto3 = pytest.importorskip("boto3")
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        for path in sorted(photo_folder.rglob("*.jpg")):
            client.upload_file(str(path), "photos", f"train set/{path.parent.name}/{path.name}")
        yield client
    finally:
        server.kill()
        server.wait()
        os.environ.clear()
        os.environ.update(before)


SERVER = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(600)
"""


def listed(bucket):
    keys = [entry["Key"] for entry in bucket.list_objects_v2(Bucket="photos", Prefix="train set/")["Contents"]]
    return [(f"s3://photos/{key}", "abcd".index(key.split("/")[1])) for key in keys]


def test_images_on_s3_are_those_on_the_disk(bucket, photo_folder):
    remote = imagenet.train(
        lambda **order: dc.read_files(listed(bucket), **order), batch_size=7, size=16, device="cpu", num_classes=4
    )
    local = imagenet.train(photo_folder, batch_size=7, size=16, device="cpu")
    for _ in range(2):
        for theirs, ours in zip(remote, local, strict=True):
            assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(ours, theirs, strict=True))


def test_a_bad_one_and_a_missing_one_on_s3_are_named_and_replaced(bucket, tmp_path):
    bucket.put_object(Bucket="photos", Key="other/bad.jpg", Body=b"this is no picture" * 20)
    bad = [("s3://photos/other/bad.jpg", 1), ("s3://photos/train set/d/gone.jpg", 3)]
    samples = listed(bucket) + bad

    def make(**options):
        return imagenet.val(
            lambda **order: dc.read_files(samples, **order), batch_size=5, size=16, resize=16, device="cpu", **options
        )

    with pytest.raises(dc.DecodeError, match=r"s3://photos/other/bad\.jpg \(not an image: it begins"):
        list(make())
    loader = make(on_error="replace", max_bad=0.1, bad_log=tmp_path / "bad.jsonl")
    assert sum(len(labels) for _, labels in loader) == 26
    recorded = (tmp_path / "bad.jsonl").read_text()
    assert all(path in recorded for path, _ in bad)
    assert "cannot be read: " in recorded
    tally.count("bad", 2)


def test_it_goes_on_from_a_state_on_s3(bucket):
    def make():
        return imagenet.train(
            lambda **order: dc.read_files(listed(bucket), **order), batch_size=7, size=16, device="cpu", num_classes=4
        )

    loader = make()
    next(iter(loader))
    resumed = make()
    resumed.load_state_dict(loader.state_dict())
    for ours, theirs in zip(loader, resumed, strict=True):
        assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(ours, theirs, strict=True))
    tally.count("resumes")
