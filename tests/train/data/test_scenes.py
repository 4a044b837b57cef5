"""The embedded scenes: the same scenes in two layouts, tight boxes, true sentences, the same bytes each time."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dali_cutmix.utils.cache import cache_folder
from pipelines import coco, voc
from train.data import scenes as module
from train.data.scene_captions import related, sentences, sizes
from train.data.scene_drawing import NAMES, Digit, Glyph, Scenes, _draw_glyph, draw
from train.data.scenes import scenes_coco, scenes_voc

SMALL = Scenes(train=60, val=30, tiny=0.2, hidden=0.2)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    scenes_voc(folder, SMALL)
    return folder


def content(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.*"))}


@pytest.mark.parametrize(("part", "count"), [("train", 60), ("val", 30)])
def test_both_layouts_hold_the_same_scenes(parent, part, count):
    in_voc, in_coco = voc.read(scenes_voc(parent, SMALL), part), coco.read(scenes_coco(parent, SMALL), part)
    assert len(in_voc) == len(in_coco) == count
    assert in_voc.classes == tuple(sorted(NAMES))
    assert in_coco.classes == NAMES
    assert in_voc.sizes.tolist() == in_coco.sizes.tolist()
    for number in range(count):
        assert in_voc.paths[number].read_bytes() == in_coco.paths[number].read_bytes()
        assert in_voc.boxes[number].tolist() == in_coco.boxes[number].tolist()
        assert in_voc.difficult[number].tolist() == in_coco.difficult[number].tolist()
        names = [[of.classes[label] for label in of.labels[number]] for of in (in_voc, in_coco)]
        assert names[0] == names[1]


def test_scenes_are_as_their_parameters_say(parent):
    annotated = coco.read(scenes_coco(parent, SMALL), "train")
    assert 128 <= annotated.sizes.min() < 140
    assert 164 < annotated.sizes.max() <= 176
    assert (annotated.sizes[:, 0] != annotated.sizes[:, 1]).mean() > 0.9
    assert {len(labels) for labels in annotated.labels} == {1, 2, 3, 4}
    assert set(np.concatenate(annotated.labels).tolist()) == set(range(10))
    for path in annotated.paths:
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
    assert len(annotated.for_training()) == 60


def drawn(count, **changes):
    """Scenes with digits of solid ink on black, so that every pixel tells."""
    ink = np.zeros((8, 8), np.float32)
    ink[1:7, 2:6] = 1
    glyphs = [Glyph(ink, 8)]
    black = [Image.new("RGB", (300, 300))]
    for number in range(count):
        scene = draw(glyphs, black, np.random.default_rng(number), replace(SMALL, **changes))
        yield np.asarray(scene.image).max(2) > 100, scene.digits


def test_boxes_are_tight_around_the_strokes():
    """To a pixel: strokes end softly."""
    for bright, digits in drawn(80, hidden=0.0, tiny=0.0, overlap=0.0):
        covered = np.zeros_like(bright)
        for digit in digits:
            x1, y1, x2, y2 = digit.box
            inside = bright[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
            assert inside.any(0).all()
            assert inside.any(1).all()
            covered[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = True
        assert not bright[~covered].any()


def test_difficult_digits_are_tiny_or_mostly_hidden():
    found = {"easy": 0, "tiny": 0, "hidden": 0}
    for bright, digits in drawn(150, overlap=0.0, digit=(0.3, 0.5)):
        assert not digits[0].difficult
        for digit in digits:
            x1, y1, x2, y2 = digit.box
            height, seen = (y2 - y1) / min(bright.shape), bright[y1:y2, x1:x2].mean()
            if not digit.difficult:
                assert height > 0.17
                assert seen > 0.9
                found["easy"] += 1
            else:
                assert height < 0.13 or seen < 0.5
                found["hidden" if seen < 0.5 else "tiny"] += 1
    assert found["easy"] > found["tiny"] > 20
    assert found["easy"] > found["hidden"] > 20


def test_the_smallest_square_shows_every_digit():
    ink, _ = load_digits(return_X_y=True)
    for digit in (ink.reshape(-1, 8, 8) / 16).astype(np.float32):
        x1, y1, x2, y2 = _draw_glyph(np.zeros((6, 6, 3), np.float32), digit, (0, 0, 6, 6), np.random.default_rng(0))
        assert 0 <= x1 < x2 <= 6
        assert 0 <= y1 < y2 <= 6


@pytest.mark.parametrize(
    ("changes", "pixels"),
    [
        ({"side": (64, 80)}, 4),
        ({"digit": (0.12, 0.5)}, 5),
        ({"side": (24, 30), "tiny": 0.0}, 5),
    ],
)
def test_digits_too_small_to_draw_are_refused(changes, pixels):
    with pytest.raises(ValueError, match=rf"makes some digits {pixels} pixels large; they need 6. Give larger sides"):
        Scenes(**changes)
    Scenes(side=(64, 80), digit=(0.27, 0.5))
    Scenes(side=(30, 40), tiny=0.0)


def test_digits_share_little_room():
    for _, digits in drawn(80, tiny=0.0, hidden=0.0):
        for number, one in enumerate(digits):
            for other in digits[:number]:
                width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
                height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
                areas = [(d.box[2] - d.box[0]) * (d.box[3] - d.box[1]) for d in (one, other)]
                assert max(width, 0) * max(height, 0) <= 0.12 * min(areas)


def test_no_handwritten_digit_is_in_both_parts(tmp_path, monkeypatch):
    used = []

    def spy(glyphs, *others):
        used.append({glyph.ink.tobytes() for glyph in glyphs})
        return draw(glyphs, *others)

    monkeypatch.setattr(module, "draw", spy)
    scenes_voc(tmp_path, replace(SMALL, train=1, val=1))
    train, val = used
    assert not train & val
    assert len(train) > 3.5 * len(val) > 1000


# Sentences

DIGIT = rf"an? ((?:large |small )?)({'|'.join(NAMES)})"
RELATION = re.compile(rf"{DIGIT} (above|below|left of|right of) {DIGIT}")
LIST = re.compile(rf"((?P<count>{'|'.join(NAMES)}) digits?, |there (?:is|are) |a picture of )?(?P<all>{DIGIT}.*)")


def centre(digit):
    return (digit.box[0] + digit.box[2]) / 2, (digit.box[1] + digit.box[3]) / 2


def is_true(sentence, digits):
    """Whether a sentence is one of the grammar and says what the boxes say."""
    seen = sorted((digit for digit in digits if not digit.difficult), key=lambda digit: digit.box[0])
    known = list(zip(sizes(seen), (digit.name for digit in seen), seen, strict=True))
    if match := RELATION.fullmatch(sentence):
        *one, relation, size, name = match.groups()
        pairs = [(a[2], b[2]) for a in known for b in known if a is not b and [*a[:2]] == one and b[:2] == (size, name)]
        holds = {
            "above": lambda a, b: centre(a)[1] < centre(b)[1],
            "below": lambda a, b: centre(a)[1] > centre(b)[1],
            "left of": lambda a, b: centre(a)[0] < centre(b)[0],
            "right of": lambda a, b: centre(a)[0] > centre(b)[0],
        }
        return any(holds[relation](*pair) for pair in pairs)
    match = LIST.fullmatch(sentence)
    counted = match["count"] is None or NAMES.index(match["count"]) == len(seen)
    return counted and re.findall(DIGIT, match["all"]) == [item[:2] for item in known]


@pytest.mark.parametrize("part", ["train", "val"])
def test_sentences_say_what_the_boxes_say(parent, part):
    root = scenes_coco(parent, SMALL)
    annotated, captioned = coco.read(root, part), coco.read_captions(root, part)
    assert captioned.paths == annotated.paths
    relations = set()
    for number, said in enumerate(captioned.sentences):
        digits = [
            Digit(int(label), tuple(map(int, box)), bool(difficult))
            for label, box, difficult in zip(
                annotated.labels[number], annotated.boxes[number], annotated.difficult[number], strict=True
            )
        ]
        assert 3 <= len(said) == len(set(said)) <= 5
        assert all(is_true(sentence, digits) for sentence in said)
        relations |= {match[3] for sentence in said if (match := RELATION.fullmatch(sentence))}
    assert relations == {"above", "below", "left of", "right of"}


def test_an_article_fits_its_word():
    pair = [Digit(8, (0, 0, 10, 10), False), Digit(8, (40, 0, 70, 40), False)]
    assert sentences(pair, np.random.default_rng(0))[0] == "a small eight and a large eight"
    assert sentences(pair[:1], np.random.default_rng(0))[0] == "an eight"


def test_a_digit_that_is_difficult_is_not_spoken_of():
    said = sentences([Digit(3, (0, 0, 9, 9), False), Digit(7, (20, 0, 29, 9), True)], np.random.default_rng(0))
    assert said == ["a three", "there is a three", "one digit, a three", "a picture of a three"]


@pytest.mark.parametrize(
    ("other", "relation"),
    [
        ((0, 30, 10, 40), "above"),
        ((0, -30, 10, -20), "below"),
        ((30, 5, 40, 15), "left of"),
        ((-30, 5, -20, 15), "right of"),
        ((30, 30, 40, 40), None),
        ((0, 0, 10, 10), "right of"),
    ],
)
def test_relations_are_told_where_they_are_clear(other, relation):
    assert related(Digit(1, (0, 0, 10, 10), False), Digit(2, other, False)) == relation


# As a data set that is built once


def test_the_same_bytes_each_time(parent, tmp_path):
    again = scenes_voc(tmp_path, SMALL).parent
    assert content(again) == content(scenes_voc(parent, SMALL).parent)
    assert json.loads((again / "COCO/annotations/captions_val2017.json").read_text())["annotations"][0]["id"] == 1


def test_other_parameters_get_another_folder(parent):
    assert SMALL.digest in scenes_voc(parent, SMALL).parent.name
    assert Scenes(seed=1).digest != Scenes().digest


def test_it_is_built_once_and_kept_in_the_cache(parent, monkeypatch):
    monkeypatch.setattr(module, "_build", lambda *_: pytest.fail("built again"))
    assert scenes_voc(parent, SMALL).is_dir()
    assert scenes_coco(parent, SMALL).is_dir()
    monkeypatch.setattr(module, "_build", lambda root, _: (root / "COCO").mkdir(parents=True))
    monkeypatch.setenv("XDG_CACHE_HOME", str(parent / "elsewhere"))
    assert scenes_coco().is_dir()
    assert scenes_coco().parent.parent == cache_folder() == parent / "elsewhere" / "dali_cutmix"


def test_a_build_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(root, _):
        root.mkdir()
        (root / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_build", fail)
    with pytest.raises(OSError, match="No space left"):
        scenes_voc(tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_build_it_at_the_same_time(tmp_path, monkeypatch):
    """It is complete before this one is; its result stands, and this one's goes."""
    few, build = replace(SMALL, train=5, val=5), module._build

    def build_twice(root, parameters):
        monkeypatch.setattr(module, "_build", build)
        scenes_voc(tmp_path, parameters)
        build(root, parameters)

    monkeypatch.setattr(module, "_build", build_twice)
    root = scenes_voc(tmp_path, few)
    assert [path.name for path in tmp_path.iterdir()] == [root.parent.name]
    assert len(voc.read(root, "train")) == 5
