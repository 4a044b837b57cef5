"""check_ranks: three processes compare their loaders. They are started once; the tests check what each heard."""

import json
import re

import pytest
from PIL import Image

import dali_cutmix as dc
from tests.helpers import rank_checks, tally
from tests.helpers.images import save
from tests.helpers.loaders import label_loader
from tests.helpers.training import command


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What each rank heard, by the name of the check."""
    root = tmp_path_factory.mktemp("folders")
    for folder, name, count in (("eight", "a", 8), ("renamed", "b", 8), ("nine", "a", 9)):
        for number in range(count):
            save(Image.new("L", (8, 8)), root / folder / str(number) / f"{name}.jpg")
    done = command(rank_checks.__file__, root)
    assert done.returncode == 0, done.stderr
    return [json.loads((root / f"{rank}.json").read_text()) for rank in range(3)]


@pytest.mark.parametrize("name", ["same", "same all ranks", "same named", "same position", "own readers"])
def test_ranks_that_belong_together_hear_nothing(heard, name):
    assert [of_rank[name] for of_rank in heard] == ["", "", ""]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("files", "rank 2 differs from rank 0 (files: '[0-9a-f]{64}' there, '[0-9a-f]{64}' on rank 0). Give all"),
        ("length", "ranks 1 and 2 differ from rank 0 (total: 9 there, 8 on rank 0; files: "),
        ("seed", "rank 2 differs from rank 0 (shuffle_seed: 4 there, 3 on rank 0). Give all"),
        ("validation", "rank 2 differs from rank 0 (validation total: 9 there, 8 on rank 0; validation files: "),
        ("position", "rank 2 differs from rank 0 (batch: 1 there, 0 on rank 0; pass_step: 1 "),
        (
            "also",
            "rank 1 differs from rank 0 (learning rate: 0.1 there, 0.0 on rank 0); "
            "rank 2 differs from rank 0 (learning rate: 0.2 there, 0.0 on rank 0). Give all ranks the same data,",
        ),
        ("missing", "rank 2 differs from rank 0 (other total: none there, 8 on rank 0; "),
        (
            "same shard",
            "shard: (0, 3) on rank 0, (0, 3) on rank 1, (0, 3) on rank 2; allowed is one shard of 3 for each",
        ),
        ("no shard", "shard: (0, 1) on rank 0, (0, 1) on rank 1, (0, 1) on rank 2; allowed is one shard of 3 for each"),
    ],
)
def test_all_ranks_hear_who_differs_and_in_what(heard, name, message):
    pattern = re.escape(message).replace(re.escape("[0-9a-f]{64}"), "[0-9a-f]{64}")
    assert re.match(pattern, heard[0][name]), heard[0][name]
    assert len({of_rank[name] for of_rank in heard}) == 1
    tally.count("bad")


def test_a_process_alone_has_nobody_to_differ_from(numbered_folder):
    dc.check_ranks(label_loader(numbered_folder(12)), also={"anything": object()})


def test_a_shard_of_several_without_a_process_group_is_refused(numbered_folder):
    with pytest.raises(ValueError, match=r"shard: \(1, 3\) on rank 0; allowed is one shard of 1 .*init_process_group"):
        dc.check_ranks(label_loader(numbered_folder(12), shard=(1, 3)))
