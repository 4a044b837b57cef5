"""Bad files: the error names the path of the file that is bad, and of no other."""

import io
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dali_cutmix import DecodeError, can_fuse
from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples import diagnosis
from dali_cutmix.loader import pipeline_runner
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.images import save


@pytest.fixture
def good_files(photo_folder, tmp_path):
    """A copy of the photo folder for a test to spoil."""
    return shutil.copytree(photo_folder, tmp_path / "photos")


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def cut_in_the_header(path):
    path.write_bytes(path.read_bytes()[:40])


SPOILERS = {
    "text": lambda path: path.write_text("this is no picture\n" * 20),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncated,
    "cut in the header": cut_in_the_header,
    "a GIF": lambda path: Image.new("RGB", (20, 20)).save(path, format="GIF"),
    "random bytes": lambda path: path.write_bytes(np.random.default_rng(0).bytes(4000)),
}


def whole_epochs(loader, epochs=2):
    for _ in range(epochs):
        for _ in loader:
            pass


def named_paths(error):
    return set(re.findall(r"[^\s,:]+\.jpg", str(error).partition(" DALI says: ")[0]))


def loaders(root, kind, **options):
    if kind == "val":
        return imagenet.val(root, batch_size=8, size=16, resize=16, device="cpu", **options)
    # The whole image, so that the crop cannot lie above a cut
    return imagenet.train(
        root,
        batch_size=8,
        size=16,
        device="cpu",
        scale=(1, 1),
        ratio=(0.01, 100),
        fused=kind == "fused" or False,
        **options,
    )


@pytest.mark.parametrize("spoiled", SPOILERS)
def test_a_bad_file_is_named_and_no_good_one_is(good_files, kind, spoiled):
    bad = sorted(good_files.rglob("*.jpg"))[13]
    SPOILERS[spoiled](bad)
    loader = loaders(good_files, kind)
    with pytest.raises(RuntimeError) as caught:
        whole_epochs(loader)
    assert str(bad) in str(caught.value)
    assert named_paths(caught.value) == {str(bad)}


@pytest.mark.parametrize("spoiled", ["text", "truncated"])
def test_the_message_says_what_to_do(good_files, kind, spoiled):
    bad = sorted(good_files.rglob("*.jpg"))[3]
    SPOILERS[spoiled](bad)
    told = r"cannot be decoded: .*\.jpg \(.*\)\. Remove or replace the file; .*on_error='replace'\. DALI says: "
    with pytest.raises(RuntimeError, match=told):
        whole_epochs(loaders(good_files, kind))


def test_two_bad_files_of_a_batch_are_both_named(good_files):
    files = sorted(good_files.rglob("*.jpg"))
    for i in (9, 11):
        SPOILERS["text"](files[i])
    with pytest.raises(RuntimeError) as caught:
        whole_epochs(loaders(good_files, "val"))
    assert named_paths(caught.value) == {str(files[9]), str(files[11])}


def test_the_batches_before_the_bad_file_are_delivered(good_files):
    files = sorted(good_files.rglob("*.jpg"))
    SPOILERS["zeros"](files[17])
    batches = iter(loaders(good_files, "val"))
    assert sum(len(next(batches)[1]) for _ in range(2)) == 16
    with pytest.raises(RuntimeError, match=re.escape(str(files[17]))):
        next(batches)


def test_a_file_in_a_relative_folder_is_named_so_that_it_is_found(good_files, monkeypatch):
    bad = sorted(good_files.rglob("*.jpg"))[13]
    SPOILERS["text"](bad)
    monkeypatch.chdir(good_files.parent)
    loader = loaders("photos", "val")
    monkeypatch.chdir(good_files)
    with pytest.raises(RuntimeError) as caught:
        whole_epochs(loader)
    assert named_paths(caught.value) == {str(bad)}


def test_a_file_that_vanished_after_the_loader_was_built_is_named(good_files, kind):
    loader = loaders(good_files, kind)
    next(iter(loader))
    gone = sorted(good_files.rglob("*.jpg"))[20]
    gone.unlink()
    with pytest.raises(RuntimeError, match=re.escape(str(gone))):
        whole_epochs(loader, epochs=3)


def test_a_bad_file_in_a_resumed_epoch_is_named(good_files):
    """The diagnosis starts from the state before the failed batch, wherever that came from."""
    bad = sorted(good_files.rglob("*.jpg"))[21]
    loader = loaders(good_files, "val")
    batches = iter(loader)
    next(batches)
    saved = loader.state_dict()
    SPOILERS["text"](bad)
    resumed = loaders(good_files, "val")
    resumed.load_state_dict(saved)
    with pytest.raises(RuntimeError) as caught:
        whole_epochs(resumed)
    assert named_paths(caught.value) == {str(bad)}


SHRINKING = """
import sys
from pathlib import Path
from types import SimpleNamespace
from pipelines import imagenet

batches = iter(imagenet.val(sys.argv[1], batch_size=4, size=16, resize=16, device="cpu", prefetch=1, num_threads=1))
next(batches)
for path in Path(sys.argv[1]).rglob("*.jpg"):
    path.write_text("x")
list(batches)
"""


def test_files_that_shrink_while_they_are_read_are_an_error_and_no_crash(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 300, 300, 3), np.uint8)
    for i, image in enumerate(noise):
        save(image, tmp_path / "a" / f"{i:02d}.jpg")
    environment = {**os.environ, "PYTHONPATH": str(Path(imagenet.__file__).parent.parent)}
    command = [sys.executable, "-c", SHRINKING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, "an exception, not a signal"
    assert "DecodeError: cannot be decoded: " in done.stderr


def test_an_image_that_is_good_but_rare_is_no_bad_file(tmp_path):
    """Gray, CMYK, progressive and PNG under the name of a JPEG decode."""
    for i, mode in enumerate(("L", "RGB", "CMYK")):
        save(
            Image.new(mode, (40, 30), 100 if mode == "L" else None),
            tmp_path / "a" / f"{i}.jpg",
            progressive=True,
        )
    stream = io.BytesIO()
    Image.new("RGB", (30, 40)).save(stream, format="PNG")
    (tmp_path / "a" / "3.jpg").write_bytes(stream.getvalue())
    whole_epochs(imagenet.val(tmp_path, batch_size=3, size=16, resize=16, device="cpu"))
    whole_epochs(imagenet.train(tmp_path, batch_size=3, size=16, device="cpu"))


def test_once_the_file_is_mended_the_loader_goes_on_with_the_very_batch(good_files, kind):
    def bits(batch):
        return tuple(tensor.numpy().tobytes() for tensor in batch)

    reference = loaders(good_files, kind)
    expected = [bits(batch) for batch in reference] + [bits(batch) for batch in reference]
    bad = sorted(good_files.rglob("*.jpg"))[13]
    content = bad.read_bytes()
    bad.write_bytes(content[:40])
    loader, found = loaders(good_files, kind), []
    with pytest.raises(DecodeError, match=re.escape(bad.name)):
        found.extend(bits(batch) for batch in loader)
    state = loader.state_dict()
    bad.write_bytes(content)
    other = loaders(good_files, kind)
    other.load_state_dict(state)
    for continued in (loader, other):
        rest = [bits(batch) for batch in continued]
        assert found + rest == expected[:3] or (kind == "val" and rest == expected[:3])
    tally.count("resumes")


@pytest.mark.parametrize("fused", [True, False])
def test_wherever_an_epoch_fails_it_goes_on_there_once_mended(good_files, fused):
    """Also in the incomplete batch between two epochs, which is decoded though nobody sees it."""
    if fused and not can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")

    def make():
        whole = {"scale": (1, 1), "ratio": (0.01, 100), "fused": fused}
        return imagenet.train(good_files, batch_size=7, size=8, device="cpu", **whole)

    def bits(batch):
        return tuple(tensor.numpy().tobytes() for tensor in batch)

    reference = make()
    list(reference)
    saved = reference.state_dict()
    expected = [bits(batch) for batch in reference]
    failed_at = set()
    for bad in sorted(good_files.rglob("*.jpg")):
        content = bad.read_bytes()
        bad.write_text("this is no picture")
        loader, found = make(), []
        loader.load_state_dict(saved)
        with pytest.raises(DecodeError, match=re.escape(bad.name)):
            found.extend(bits(batch) for batch in itertools.chain(loader, loader))
        failed_at.add(len(found))
        bad.write_bytes(content)
        assert (found + [bits(batch) for batch in loader])[:3] == expected
    assert failed_at >= {0, 1, 2}


def test_of_many_bad_files_the_error_names_ten_and_no_file_of_another_batch(tmp_path):
    for number in range(60):
        path = tmp_path / "photos" / "cat" / f"{number:02d}.jpg"
        save(Image.new("RGB", (40, 30)), path)
        if 2 <= number < 55:
            SPOILERS["text"](path)
    for batch_size, named, more in ((4, range(2, 4), ""), (32, range(2, 12), " and 20 more.")):
        with pytest.raises(DecodeError) as caught:
            next(iter(imagenet.val(tmp_path / "photos", batch_size=batch_size, size=16, resize=16, device="cpu")))
        assert named_paths(caught.value) == {str(tmp_path / "photos" / "cat" / f"{number:02d}.jpg") for number in named}
        assert more in str(caught.value)
        tally.count("bad")


def test_names_that_act_on_a_terminal_are_escaped_in_the_error(tmp_path):
    for name in ("a", "\x1b[31mb"):
        save(Image.new("RGB", (40, 30)), tmp_path / "cat" / f"{name}.jpg")
    SPOILERS["text"](tmp_path / "cat" / "\x1b[31mb.jpg")
    with pytest.raises(DecodeError, match=r"/cat/\\x1b\[31mb\.jpg \(not an image"):
        next(iter(imagenet.val(tmp_path, batch_size=2, size=16, resize=16, device="cpu")))
    tally.count("bad")


def test_what_fails_for_a_moment_only_ends_nothing(good_files, kind, monkeypatch):
    """A disk or a network that fails once: the files are good when they are looked at, and the batch is tried again."""

    def bits(batch):
        return tuple(tensor.numpy().tobytes() for tensor in batch)

    expected = [bits(batch) for batch in loaders(good_files, kind)]
    bad = sorted(good_files.rglob("*.jpg"))[13]
    content, real, looks = bad.read_bytes(), pipeline_runner.find_bad_samples, []

    def mended_meanwhile(*arguments):
        bad.write_bytes(content)
        looks.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(pipeline_runner, "find_bad_samples", mended_meanwhile)
    bad.write_bytes(content[:40])
    assert [bits(batch) for batch in loaders(good_files, kind)] == expected
    assert len(looks) == 1


def test_what_fails_in_its_batch_only_is_found_by_running_the_batch(good_files, kind, monkeypatch, tmp_path):
    """As a damaged file does that decodes as a whole and not in part; here because nobody looks at the file itself."""
    monkeypatch.setattr(pipeline_runner, "find_bad_samples", lambda *_: {})
    files = sorted(good_files.rglob("*.jpg"))
    for number in (12, 13, 20):
        SPOILERS["text"](files[number])
    with pytest.raises(
        DecodeError, match=r"\.jpg \(it fails in its batch: not an image: it begins with b'.*'\)"
    ) as caught:
        whole_epochs(loaders(good_files, kind))
    assert named_paths(caught.value) <= {str(files[number]) for number in (12, 13, 20)}
    replacing = {"on_error": "replace", "max_bad": 0.2, "bad_log": tmp_path / "bad.jsonl"}
    loader = loaders(good_files, kind, **replacing)
    assert sum(len(batch[0]) for _ in range(2) for batch in loader) == 48
    recorded = (tmp_path / "bad.jsonl").read_text()
    assert all(str(path) in recorded for path in (files[12], files[13], files[20]))
    assert len(recorded.splitlines()) == 3
    tally.count("bad", 3)


def test_what_no_sample_is_to_blame_for_is_raised_as_it_is(good_files, kind, monkeypatch):
    """A second try and a search, and nothing endless."""
    real, runs = pipeline_template.build, []

    class Broken:
        def __init__(self, pipeline):
            self.checkpoint, self.reader_meta, self.device_id = pipeline.checkpoint, pipeline.reader_meta, None

        def run(self, *_):
            runs.append(1)
            raise RuntimeError("Error in CPU operator `nvidia.dali.fn.decoders.image`: out of something")

        def _shutdown(self):
            pass

    def build(template, checkpoint=None):
        pipeline = real(template, checkpoint)
        return pipeline if hasattr(template, "file") else Broken(pipeline)  # but what reads numbers works

    monkeypatch.setattr(pipeline_template, "build", build)
    monkeypatch.setattr(pipeline_runner, "find_bad_samples", lambda *_: {})
    with pytest.raises(RuntimeError, match="out of something"):
        list(loaders(good_files, kind))
    assert 2 <= len(runs) <= 12


@pytest.mark.parametrize("spoil", ["text", "truncated"])
def test_what_failed_on_a_gpu_is_judged_on_the_cpu(good_files, spoil):
    """A GPU's JPEG engine decodes some damaged files without an error. No GPU is needed to judge what failed on one."""
    bad = sorted(good_files.rglob("*.jpg"))[5]
    SPOILERS[spoil](bad)
    loader = imagenet.val(good_files, batch_size=8, size=16, resize=16, device="cpu")
    source, checkpoint = loader._graph.source, loader._producer.position.checkpoint
    on_a_gpu = SimpleNamespace(max_batch_size=8, num_threads=1, device_id=0)
    found = diagnosis.find_bad_samples(source, 10**6, checkpoint, {}, on_a_gpu)
    assert [source.name(number) for number in found] == [str(bad)]
