"""DALI's checkpoint in a form that does not depend on how a graph decodes: nothing is lost or misplaced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvidia.dali import fn, pipeline_def

from dali_cutmix._dali import pipeline_template
from dali_cutmix._dali.pipeline_checkpoint import entries, localized, portable
from dali_cutmix.utils.protobuf import to_varint, varint


def entry(name, state=b""):
    """An operator's part of a checkpoint, as protobuf writes it."""
    inside = b"\n" + to_varint(len(name)) + name.encode() + b"\x12" + to_varint(len(state)) + state
    return b"\n" + to_varint(len(inside)) + inside


PIPELINE = b"\x12\x02{}"


def checkpoint(**operators):
    return b"".join([*(entry(name, state) for name, state in operators.items()), PIPELINE])


def names(content):
    return [name for name, _ in entries(content)]


@given(st.integers(0, 2**40))
def test_numbers_are_read_as_they_are_written(value):
    written = to_varint(value)
    assert varint(written, 0) == (value, len(written))


def test_operators_that_decode_or_copy_make_no_difference():
    """The names of copies hold the number of what is copied, and of several outputs which one it is."""
    region = {"reader": b"r", "__RandomCropGenerator_4": b"c", "__ImageSlice_5": b"", "__Uniform_6": b"u"}
    region |= {"__PythonFunction_7": b"", "__Copy_CpuToGpu___PythonFunction_7[0]": b""}
    region |= {"__Copy_CpuToGpu___PythonFunction_7[1]": b"", "__MakeContiguous_CpuToGpu___PythonFunction_7[1]": b""}
    whole = {
        "__Image_5": b"",
        "reader": b"r2",
        "__RandomCropGenerator_4": b"c2",
        "__Slice_6": b"",
        "__Uniform_7": b"u2",
    }
    whole |= {"__PythonFunction_8": b"", "__Copy_CpuToGpu___PythonFunction_8[0]": b""}
    whole |= {"__Copy_CpuToGpu___PythonFunction_8[1]": b"", "__MakeContiguous_MixedToGpu___Image_5": b""}
    region, whole = checkpoint(**region), checkpoint(**whole)
    moved = localized(portable(region), whole)
    assert names(moved) == names(whole)
    assert portable(moved) == portable(region)
    assert dict(entries(moved))["__Uniform_7"] == entry("__Uniform_7", b"u")


def test_operators_that_read_or_inspect_make_no_difference():
    """A later version may need more of them, or fewer."""
    two = {"reader": b"r", "__PythonFunction_0": b"", "__Read_1": b"", "__PythonFunction_2": b"", "__Uniform_3": b"u"}
    one = {"reader": b"", "__PythonFunction_0": b"", "__Split_1": b"", "__Split_2": b"", "__Merge_3": b""}
    one |= {"__Uniform_4": b""}
    moved = localized(portable(checkpoint(**two)), checkpoint(**one))
    assert moved == checkpoint(**one | {"reader": b"r", "__Uniform_4": b"u"})


def test_a_name_like_that_of_a_decoder_loses_no_state():
    own = checkpoint(_Slice_1=b"old", __Image_7=b"", Foo_1=b"old", mine=b"old")
    moved = localized(portable(checkpoint(_Slice_1=b"state", __Image_7=b"", Foo_1=b"one", mine=b"two")), own)
    assert moved == checkpoint(_Slice_1=b"state", __Image_7=b"", Foo_1=b"one", mine=b"two")


def test_an_operator_that_is_not_here_keeps_its_name_for_dali_to_refuse():
    assert "Uniform#1" in names(
        localized(portable(checkpoint(__Uniform_1=b"a", __Uniform_2=b"b")), checkpoint(__Uniform_5=b""))
    )


def test_an_operator_that_was_not_there_is_left_out_for_dali_to_refuse():
    moved = localized(portable(checkpoint(__Uniform_1=b"a")), checkpoint(__Uniform_5=b"x", __Uniform_6=b"y"))
    assert names(moved) == ["__Uniform_5", None]


@pytest.mark.parametrize("name", ["_Slice_1", "__Image_7", "mine"])
def test_a_random_operator_goes_on_whatever_its_name(name):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1)
    def graph():
        return fn.random.uniform(name=name), fn.random.uniform()

    template = pipeline_template.as_template(graph())
    pipeline = pipeline_template.build(template)
    pipeline.run()
    saved = portable(pipeline.checkpoint())
    expected = [output.as_array() for output in pipeline.run()]
    resumed = pipeline_template.build(template, localized(saved, pipeline_template.build(template).checkpoint()))
    for output, array in zip(resumed.run(), expected, strict=True):
        np.testing.assert_array_equal(output.as_array(), array)


GOOD = checkpoint(reader=b"state", __Uniform_1=b"a", mine=b"")


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + PIPELINE,
        GOOD.removesuffix(PIPELINE),
        entry("mine") + GOOD,
        b"\x1a\x00" + GOOD,
        b"\x08\x01" + GOOD,
        b"\n\x00" + GOOD,
        b"\n" + b"\xff" * 10_000_000,
        GOOD.replace(b"reader", b"r\xffader"),
    ],
    ids=["none", "cut", "key", "twice", "without", "operator twice", "field", "type", "nameless", "number", "name"],
)
def test_what_is_damaged_is_refused(wrong):
    for function in (entries, portable):
        with pytest.raises(ValueError, match=r"."):
            function(wrong)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_byte_that_changes_is_noticed_or_part_of_a_name_or_state(at, byte):
    wrong = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    try:
        found = entries(wrong)
    except ValueError:
        return
    assert b"".join(part for _, part in found) == wrong
    assert len(found) == 4
