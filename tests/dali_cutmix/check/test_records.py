"""Records are checked as the verbs read them: which member is the image, which the label, and what may be missing."""

import io
import json
import tarfile

import pytest

from dali_cutmix.check import main
from tests.helpers.bad_files import photo
from tests.helpers.records import write_tfrecord


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tar(folder, *samples):
    """A tar with one sample for each dictionary of extensions and contents."""
    path = folder / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for number, sample in enumerate(samples):
            for extension, content in sample.items():
                member = tarfile.TarInfo(f"{number}.{extension}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def checked(capfd, *arguments):
    """Exit status, and what was printed."""
    status = main(list(map(str, arguments)))
    printed = capfd.readouterr()
    return status, printed.out if status < 2 else printed.err


def test_the_image_and_the_label_are_those_that_are_named(tmp_path, capfd):
    samples = [{"left.jpg": photo(), "right.jpg": b"no picture", "txt": b"3"}, {"left.jpg": photo(), "txt": b"-1"}]
    path = tar(tmp_path, *samples)
    assert checked(capfd, path)[0] == 2
    assert checked(capfd, path, "--image=left.jpg") == (0, "2 images checked, 0 of them bad\n")
    status, out = checked(capfd, path, "--image=right.jpg", "--image=left.jpg")
    assert status == 1
    assert f"{path}: 0.right.jpg: not an image" in out
    status, out = checked(capfd, path, "--image=left.jpg", "--label=txt")
    assert status == 1
    assert f"{path}: 1.left.jpg: " in out
    assert "its label is '-1'; it must be a whole number of 0 or more" in out
    assert "2 images checked, 1 of them bad" in out


def test_labels_in_json_and_names_of_classes(tmp_path, capfd):
    content = [json.dumps({"of": {"name": name}}).encode() for name in ("cat", "dog", "cow")]
    path = tar(tmp_path, *({"jpg": photo(), "json": text} for text in content))
    classes = tmp_path / "classes.txt"
    classes.write_text("cat\ndog\n\n")
    options = ["--label=json", "--key=of", "--key=name", f"--classes={classes}"]
    status, out = checked(capfd, path, *options)
    assert status == 1
    assert "its label is 'cow'; it must be one of the 2 names in classes=" in out
    assert "3 images checked, 1 of them bad" in out
    classes.write_text("cat\ncow\ndog\n")
    assert checked(capfd, path, *options)[0] == 0


def test_samples_that_lack_something_are_left_out_if_wanted(tmp_path, capfd):
    path = tar(tmp_path, {"jpg": photo(), "cls": b"0"}, {"cls": b"1"})
    assert "1 of 2 samples lack image or label" in checked(capfd, path)[1]
    assert checked(capfd, path, "--missing=skip") == (0, "1 images checked, 0 of them bad\n")


def test_features_of_a_tfrecord(tmp_path, capfd):
    (path,) = write_tfrecord(tmp_path, [(photo(), 0), (photo(), 1)], 2, index=False)  # labels 1 and 2 in the file
    assert checked(capfd, path)[0] == 0
    status, out = checked(capfd, path, "--first-label=2")
    assert status == 1
    assert "record 0: " in out
    assert "its label is 1, below first_label=2" in out
    assert "it has no feature 'picture'" in checked(capfd, path, "--image=picture")[1]
    assert "it has no feature 'class'" in checked(capfd, path, "--label=class")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}", "--label=cls"], "--label given for a folder data set, which has none of these options"),
        (["{tar}", "--first-label=1"], "--first-label given for a webdataset data set, which has --classes, --image, "),
        (["{file}", "--kind=tfrecord", "--key=a"], "--key given for a tfrecord data set, which has --first-label, "),
        (["{file}", "--kind=tfrecord", "--image=a", "--image=b"], "--image given 2 times; a TFRecord has one feature"),
        (["{tar}", "--key=a"], "--key or --classes given without --label; give the extension of the label's file"),
        (["{tar}", "--classes=/nowhere"], "No such file or directory: '/nowhere'"),
        (["{tar}", "--label=cls", "--classes=/dev/null"], "a device, not a regular file: '/dev/null'"),
        (["{tar}", "--label=cls", "--classes={tar}"], "shard.tar: not UTF-8 text"),
        (["{tar}", "--formats=jpeg,gif"], "allowed is a tuple of 'jpeg', 'png', "),
        (["{tar}", "--timeout=0"], "--timeout 0 given; allowed is a whole number from 1 to 604800"),
        (["{tar}", "--max-bytes=0"], "--max-bytes 0 given; allowed is a whole number of at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_the_data_set_does_not_have(tmp_path, photo_folder, capfd, arguments, message):
    places = {"folder": photo_folder, "tar": tar(tmp_path, {"jpg": photo()}), "file": tmp_path / "shard.tar"}
    status, errors = checked(capfd, *(argument.format(**places) for argument in arguments))
    assert status == 2
    assert message in errors
