"""Which marked nodes a node was made from, over whatever a user puts between them."""

import pytest
from nvidia.dali import Pipeline, fn, pipeline_def, types

from dali_cutmix._dali import nearest, pipeline_outputs


def images():
    return fn.random.uniform(range=(0, 255), shape=[4, 4, 3])


GRAPHS = {
    "the node itself": (lambda a, b: a, "a"),
    "an operator": (lambda a, b: fn.gaussian_blur(a, sigma=1.0), "a"),
    "arithmetic of both": (lambda a, b: 1 - (b + 2 * a), "ba"),
    "a subscript": (lambda a, b: a[:2], "a"),
    "one of several outputs": (lambda a, b: fn.python_function(a, b, function=print, num_outputs=2)[1], "ab"),
    "joined and blurred": (lambda a, b: fn.gaussian_blur(fn.cat(b, a, axis=0), sigma=1.0), "ba"),
    "twice the same": (lambda a, b: a + fn.cast(a, dtype=types.FLOAT), "a"),
    "neither": (lambda a, b: images(), ""),
    "an argument of an operator": (lambda a, b: fn.gaussian_blur(a, sigma=fn.reductions.mean(b)), "a"),
    "moved to a GPU": (lambda a, b: a.gpu(), "a"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_the_nearest_marked_nodes_are_found(name):
    make, expected = GRAPHS[name]

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        a, b = images(), images()
        found.extend(nearest(make(a, b), {a.name: "a", b.name: "b"}))
        return a

    found: list[str] = []
    graph()
    assert "".join(found) == expected


def test_what_lies_behind_a_marked_node_is_not_found():
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        first = images()
        second = 255 - first
        third = fn.cat(second * 2, second, axis=0)
        assert nearest(third, {first.name: 1, second.name: 2}) == [2]
        assert nearest(third, {first.name: 1}) == [1]
        assert nearest(third, {first.name: 1, third.name: 3}) == [3]
        return third

    graph()


def test_a_long_graph_is_searched_once():
    """Each node has two ways to the one before: 2 to the power of 200 ways in all."""

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        first = node = images()
        for _ in range(200):
            node = node + node * 2
        assert nearest(node, {first.name: 1}) == [1]
        return node

    graph()


def test_what_is_no_node_was_made_from_none():
    assert nearest(None, {"a": 1}) == []
    assert nearest(3.0, {"a": 1}) == []


def test_the_outputs_of_a_graph_are_known_before_it_is_built():
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        made.extend([images(), images()])
        return tuple(made)

    made = []
    assert [node.name for node in pipeline_outputs(graph())] == [node.name for node in made]


def test_a_subclass_of_pipeline_has_none_until_it_is_built():
    class Subclass(Pipeline):
        def define_graph(self):
            return images()

    assert pipeline_outputs(Subclass(1, 1, None)) == ()
