"""bind_state: a saved state loads only where the values of a graph of one's own agree."""

import pytest
from nvidia.dali import pipeline_def

import dali_cutmix as dc


def loader(folder, before=True, **values):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=0)
    def graph():
        jpegs, labels = dc.read_folder(folder)
        if before:
            dc.bind_state(**values)
        images = dc.random_resized_crop(jpegs, 16)
        if not before:
            dc.bind_state(**values)
        return images, labels

    return dc.Loader(graph())


@pytest.mark.parametrize("before", [True, False])
def test_a_state_with_other_values_is_refused_wherever_they_are_bound(photo_folder, before):
    saved = loader(photo_folder, blur=0.5).state_dict()
    loader(photo_folder, before, blur=0.5).load_state_dict(saved)
    for value in (0.25, "0.5", None, (0.5,)):
        with pytest.raises(ValueError, match=r"\(blur: '0\.5' saved, .* here\)"):
            loader(photo_folder, before, blur=value).load_state_dict(saved)


def test_a_state_from_before_a_value_was_bound_is_refused(photo_folder):
    with pytest.raises(ValueError, match=r"\(blur: None saved, '1' here\)"):
        loader(photo_folder, blur=1).load_state_dict(loader(photo_folder).state_dict())


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, (1, [2]), lambda: 1])
def test_a_value_that_has_no_lasting_name_is_refused(photo_folder, value):
    with pytest.raises(ValueError, match=r"bind_state: blur=.* given; allowed are numbers, strings, None, and tuples"):
        loader(photo_folder, blur=value)


@pytest.mark.parametrize(
    ("name", "own"), [("seed", "0"), ("size", "16"), ("scale", r"\(0\.08, 1\.0\)"), ("files", ".*")]
)
def test_a_name_that_is_bound_already_is_refused_when_the_loader_is_made(photo_folder, name, own):
    told = rf"bind_state: {name}='mine' given, but {name} is bound already to '?{own}'?; give it another name"
    with pytest.raises(ValueError, match=told):
        loader(photo_folder, **{name: "mine"})


def test_two_values_for_one_name_are_refused():
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        dc.bind_state(blur=1, sharpen=2)
        dc.bind_state(sharpen=2)
        dc.bind_state(blur=1.0)

    with pytest.raises(ValueError, match=r"bind_state: blur=1\.0 given, but it is bound to 1 already"):
        graph()


def test_outside_a_graph_it_is_refused():
    with pytest.raises(RuntimeError, match="call them inside a function decorated with"):
        dc.bind_state(blur=1)


def test_a_state_with_a_value_that_this_graph_does_not_bind_is_refused(numbered_folder):
    def make(**bound):
        @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        def graph():
            _, labels = dc.read_folder(numbered_folder(8))
            dc.bind_state(**bound)
            return labels

        return dc.Loader(graph())

    with pytest.raises(ValueError, match=r"\(blur: '0\.5' saved, None here\)"):
        make().load_state_dict(make(blur=0.5).state_dict())
