"""read_csv: images whose labels are in a CSV file, as Kaggle and others hand them out."""

import csv
from functools import partial

import numpy as np
import pandas
import pytest

import dali_cutmix as dc
from dali_cutmix.sources import csv_samples
from pipelines import imagenet
from tests.helpers.images import save
from tests.helpers.loaders import epoch_of, flat, loader_of

NAMES = ["000bec18", "001513df", "001cdf01", "00214f31", "0021f9ce"]
BREEDS = ["boston_bull", "dingo", "pekinese", "bluetick", "dingo"]


@pytest.fixture
def folder(tmp_path):
    """Five images, labels.csv with a header beside the folder that holds them; the pixels' level names the image."""
    for number, name in enumerate(NAMES):
        save(np.full((8, 8, 3), 40 * number, np.uint8), tmp_path / "train" / f"{name}.png")
    lines = [f"{name},{breed}" for name, breed in zip(NAMES, BREEDS, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,breed", *lines]) + "\n")
    return tmp_path


def write(folder, text, encoding="utf-8"):
    """Another labels.csv."""
    (folder / "labels.csv").write_bytes(text.encode(encoding))


def reading(folder, root="train", image="id", label="breed", suffix=".png", **options):
    return partial(
        dc.read_csv, folder / "labels.csv", folder / root, image=image, label=label, suffix=suffix, **options
    )


def labels_of(read):
    return flat(epoch_of(loader_of(read, shuffle=False)))


def of_kaggle(folder):
    """Kaggle's own way, by pandas: the classes are sorted."""
    table = pandas.read_csv(folder / "labels.csv")
    classes = sorted(table["breed"].unique())
    return classes, [classes.index(breed) for breed in table["breed"]]


def test_labels_are_the_places_of_the_sorted_names_and_the_order_is_the_files(folder):
    loader = loader_of(reading(folder), shuffle=False)
    classes, labels = of_kaggle(folder)
    assert list(loader.classes) == classes
    assert flat(epoch_of(loader)) == labels


def test_each_image_keeps_its_label(folder):
    options = {"batch_size": 5, "size": 8, "resize": 8, "device": "cpu", "mean": (40, 40, 40), "std": (40, 40, 40)}
    ((images, labels),) = imagenet.val(reading(folder), **options)
    assert (images[:, 0, 0, 0] + 1).tolist() == [0, 1, 2, 3, 4]
    assert labels.tolist() == of_kaggle(folder)[1]


def test_it_trains_with_cutmix_and_goes_on_from_a_state(folder):
    make = partial(imagenet.train, reading(folder), batch_size=2, size=8, device="cpu")
    loader = make()
    batches = [[tensor.numpy().tobytes() for tensor in batch] for batch in loader]
    assert next(iter(make()))[1].shape == (2, 4)
    resumed, first = make(), make()
    next(iter(first))
    resumed.load_state_dict(first.state_dict())
    assert [tensor.numpy().tobytes() for tensor in next(iter(resumed))] == batches[1]


def test_whole_numbers_stay_numbers(folder):
    for text in ("3", "3.0", '"3"', " 3 "):
        write(folder, f"id,breed\n{NAMES[0]},0\n{NAMES[1]},{text}\n{NAMES[2]},10\n")
        loader = loader_of(reading(folder), shuffle=False, batch_size=3)
        assert (epoch_of(loader), loader.classes, loader.num_classes) == ([[0, 3, 10]], (), 11)


def test_columns_may_be_numbers_and_then_there_is_no_header(folder):
    write(folder, "".join(f"x,{breed},train/{name}.png\n" for name, breed in zip(NAMES, BREEDS, strict=True)))
    read = partial(dc.read_csv, folder / "labels.csv", image=2, label=1)
    assert labels_of(read) == [1, 2, 3, 0, 2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize(("delimiter", "given"), [(",", None), (";", None), ("\t", None), (" ", None), ("|", "|")])
def test_files_of_any_program_are_read(folder, encoding, line, delimiter, given):
    rows = [["id", "breed"], [NAMES[0], "boston bull"], [], [NAMES[1], 'the "dingo"'], [NAMES[2], "a,b;c"], ["", ""]]
    with (folder / "labels.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=line).writerows(rows)
        file.write(f"   {line}")
    loader = loader_of(reading(folder, delimiter=given), shuffle=False, batch_size=3)
    assert loader.classes == ("a,b;c", "boston bull", 'the "dingo"')
    assert epoch_of(loader) == [[1, 2, 0]]


def test_spaces_around_cells_do_not_count(folder):
    write(folder, f'id , breed\n {NAMES[0]} , "boston bull"\n{NAMES[1]},dingo\n')
    assert loader_of(reading(folder), batch_size=2).classes == ("boston bull", "dingo")


def test_classes_may_be_given_in_an_order_of_ones_own(folder):
    loader = loader_of(reading(folder, classes=["pekinese", "dingo", "boston_bull", "bluetick", "x"]), shuffle=False)
    assert flat(epoch_of(loader)) == [2, 1, 0, 3, 1]
    assert (loader.num_classes, loader.classes[-1]) == (5, "x")


def test_names_that_are_digits_are_names_where_they_are_given(folder):
    write(folder, "id,breed\n" + "".join(f"{name},{code}\n" for name, code in zip(NAMES, "78797", strict=True)))
    assert labels_of(reading(folder, classes=["9", "8", "7"])) == [2, 1, 2, 0, 2]
    assert labels_of(reading(folder, classes=list("abcdefghij"))) == [7, 8, 7, 9, 7]


def test_the_folder_of_the_file_is_the_root_unless_another_is_given(folder, monkeypatch):
    write(
        folder,
        f"id,breed\ntrain/{NAMES[0]}.png,a\n{folder}/train/{NAMES[1]}.png,b\n./train/../train/{NAMES[2]}.png,c\n",
    )
    assert labels_of(partial(dc.read_csv, folder / "labels.csv", image="id", label="breed")) == [0, 1, 2]
    monkeypatch.chdir(folder)
    write(folder, f"id,breed\n{NAMES[0]},a\n")
    assert labels_of(partial(dc.read_csv, "labels.csv", "train", image="id", label="breed", suffix=".png")) == [0]


def test_images_on_s3_are_not_looked_for(folder):
    write(folder, "id,breed\n1,a\n2,b\n")
    found = csv_samples(folder / "labels.csv", "s3://bucket/train", image="id", label="breed", suffix=".jpg")
    assert found.paths == ["s3://bucket/train/1.jpg", "s3://bucket/train/2.jpg"]
    write(folder, "id,breed\ns3://bucket/1.jpg,a\ns3://bucket/2.jpg,b\n")
    found = csv_samples(folder / "labels.csv", image="id", label="breed")
    assert found.paths == ["s3://bucket/1.jpg", "s3://bucket/2.jpg"]


def test_a_missing_image_is_a_bad_file_and_no_reason_to_stop_at_once(folder, tmp_path):
    (folder / "train" / f"{NAMES[1]}.png").unlink()
    options = {"batch_size": 5, "size": 8, "resize": 8, "device": "cpu"}
    with pytest.raises(dc.DecodeError, match=rf"{NAMES[1]}\.png"):
        list(imagenet.val(reading(folder), **options))
    loader = imagenet.val(reading(folder), on_error="replace", max_bad=0.5, bad_log=tmp_path / "bad.jsonl", **options)
    assert len(next(iter(loader))[1]) == 5


# What is refused


def row(text):
    return f"id,breed\n{NAMES[0]},a\n{text}\n"


REFUSED = {
    "no such column": (
        {"label": "race"},
        None,
        r"labels\.csv: no column 'race' in line 1; it has 'id', 'breed' \(delimiter=','\). Give label= one of them",
    ),
    "no such number": ({"image": 0, "label": 5}, row(""), r"line 1: column 5 given for label, .* 2 columns.* 0 to 1"),
    "a negative number": ({"image": -1}, None, r"image=-1 given; .* name of a column, or its number from 0"),
    "a truth value": ({"label": True}, None, r"label=True given; .* name of a column, or its number from 0"),
    "one column twice": (
        {},
        f"id,breed,breed\n{NAMES[0]},a,b\n",
        r"line 1: 2 columns are called 'breed'; give .* number",
    ),
    "the same column": ({"label": "id"}, None, r"image='id' and label='id' given; they are two columns"),
    "a row that ends early": (
        {},
        row(NAMES[1]),
        r"line 3: 1 column, .* label is column 2.*; complete the line, or remove it",
    ),
    "no label": ({}, row(f"{NAMES[1]},"), r"line 3: no label \('breed' is empty\); give .* or remove the line"),
    "no image": ({}, row(",dingo"), r"line 3: no image \('id' is empty\); give .* or remove the line"),
    "a name among numbers": (
        {},
        f"id,breed\n{NAMES[0]},3\n{NAMES[1]},dingo\n",
        r"line 3: label 'dingo' given, but line 2 has the number '3'; .*all whole numbers or all names.*classes=",
    ),
    "a number among names": ({}, row(f"{NAMES[1]},3"), r"line 3: label '3' given, but line 2 has the name 'a'; "),
    "half a class": (
        {},
        f"id,breed\n{NAMES[0]},0.5\n",
        r"line 2: label '0\.5' given; .* whole number from 0 to 2147483647, or a name",
    ),
    "below zero": (
        {},
        f"id,breed\n{NAMES[0]},-1\n",
        r"line 2: label '-1' given; .* whole number from 0 to 2147483647, or a name",
    ),
    "an unknown name": (
        {"classes": ["a", "dingo"]},
        row(f"{NAMES[1]},dgno"),
        r"line 3: label 'dgno' given; allowed are the 2 names in classes= \('a', 'dingo'\), or their numbers .* 0 to 1",
    ),
    "a number above the classes": (
        {"classes": ["a"]},
        row(f"{NAMES[1]},1"),
        r"line 3: label '1' given; .* 1 name in classes=",
    ),
    "classes as text": ({"classes": "a"}, None, r"classes='a' given; it is a list of the names of all classes"),
    "classes twice": ({"classes": ["a", "a"]}, None, r"classes= names 'a' twice; .*once"),
    "an image again": ({}, row(f"{NAMES[0]},a"), r"line 3: '000bec18' again; it is in line 2. Remove one of the lines"),
    "an image with two labels": (
        {},
        row(f"{NAMES[0]},b"),
        r"line 3: '000bec18' again, with label 'b'; line 2 says 'a'. Remove one .* several labels .* dc\.read_files",
    ),
    "no row": ({}, "id,breed\n", r"labels\.csv: no images in it; "),
    "nothing": ({}, "\n\n", r"labels\.csv: it is empty; "),
    "UTF-16": ({}, "id,breed\nx,y\n".encode("utf-16"), r"labels\.csv: not UTF-8 text .*; save it as UTF-8"),
    "not text": ({}, b"\x89PNG\r\n\x1a\n\xff\xfe\x00", r"labels\.csv: not UTF-8 text .*; save it as UTF-8"),
    "an open quotation": (
        {},
        row('"' + "x" * 200_000),
        r"labels\.csv, line \d+: not a row of a CSV file \(.*\); .*quotation",
    ),
    "two delimiters": ({"delimiter": ", "}, None, r"delimiter=', ' given; .* one character.*'\\t'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_named_with_its_line(folder, what):
    options, content, told = REFUSED[what]
    if content is not None:
        (folder / "labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=told):
        loader_of(reading(folder, **options), batch_size=1)


def test_a_missing_file_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv: no such file; give the path of a CSV file"):
        loader_of(dc.read_csv, folder / "nowhere.csv", image="id", label="breed")
    with pytest.raises(ValueError, match=r"train: a folder; give the path of a CSV file"):
        loader_of(dc.read_csv, folder / "train", image="id", label="breed")


def test_a_root_under_which_no_image_is_found_is_refused_at_once(folder):
    told = r"labels\.csv: none of its first 5 images exists, such as \S+/test/000bec18\.png; .*root=.*suffix="
    with pytest.raises(FileNotFoundError, match=told):
        loader_of(reading(folder, root="test"))


def test_a_column_of_long_texts_is_no_column_of_images(folder):
    write(folder, "id,breed,text\n" + "".join(f"{name},a,{name * 500}\n" for name in NAMES))
    with pytest.raises(FileNotFoundError, match=r"labels\.csv: none of its first 5 images exists, such as .*root="):
        loader_of(reading(folder, image="text"))


def test_an_ending_that_is_missing_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"/000bec18; give suffix='\.png': \S+/000bec18\.png is there"):
        loader_of(reading(folder, suffix=""))


@pytest.mark.parametrize("labels", [BREEDS, range(5)])
def test_a_header_is_not_taken_for_an_image(folder, labels):
    write(folder, "id,breed\n" + "".join(f"{name},{label}\n" for name, label in zip(NAMES, labels, strict=True)))
    told = r"line 1: .*is a header, give columns by their names, image='id' and label='breed'"
    with pytest.raises(ValueError, match=told):
        loader_of(reading(folder, image=0, label=1))


def test_the_class_that_has_no_number_of_classes_is_refused(folder):
    with pytest.raises(ValueError, match=r"num_classes=3 given, but the data has 4 classes"):
        loader_of(reading(folder, num_classes=3))
