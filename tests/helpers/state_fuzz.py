"""A program that loads damaged states, so that a hang or a crash ends it and not the tests.

    python state_fuzz.py FOLDER VERSION COUNT SEED

It prints how many states were refused and how many loaded. A state is refused by a ValueError that says so, and the
loader goes on where it was; or it loads: one of version 3 only if it is the state that was saved, one of version 2 if
the loader then delivers whole passes.
"""

import itertools
import json
import random
import sys
from collections import Counter

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers.edited_states import as_version_2
from tests.helpers.loaders import bits, endless, label_loader
from tests.helpers.mutations import mutated

ODD = 5
"""One in so many mutations changes the text of the state's JSON."""


def loaders(root):
    """Loaders of three kinds, at several places of their epochs."""
    yield label_loader(root, 4)
    yield label_loader(root, 4, shuffle=False)
    yield imagenet.train(root, batch_size=4, size=8, device="cpu", fused=False, mix=dc.OneOf((dc.CutMix(), dc.Mixup())))


def damaged(rng, saved):
    """A state with one thing changed; None where it is no JSON any more."""
    if rng.randrange(ODD):
        return mutated(rng, saved)
    text = bytearray(json.dumps(saved).encode())
    text[rng.randrange(len(text))] = rng.randrange(256)
    try:
        return "text", json.loads(text)
    except ValueError:
        return None


def check(loader, saved, what, state, version):
    """Load one state; whether it loaded."""
    try:
        loader.load_state_dict(state)
    except ValueError as error:
        if not str(error).startswith("load_state_dict: "):
            raise AssertionError(what) from error
        return False
    if version == 3:
        assert json.dumps(state, sort_keys=True) == json.dumps(saved, sort_keys=True), what
        return True
    for first in (True, False):
        length = len([*itertools.islice(loader, 100)])
        assert length <= len(loader) if first else length == len(loader), (what, length)
    return True


def main(root, version, count, seed):
    rng, found = random.Random(seed), Counter()
    for loader in loaders(root):
        running = endless(loader)
        for _ in range(rng.randrange(1, 9)):
            next(running)
        saved = loader.state_dict() if version == 3 else as_version_2(loader.state_dict())
        reference = [bits(batch) for batch in itertools.islice(running, 3)]
        loader.load_state_dict(saved)
        tried = 0
        while tried < count:
            if (mutation := damaged(rng, saved)) is None:
                continue
            tried += 1
            loaded = check(loader, saved, *mutation, version)
            found["loaded" if loaded else "refused"] += 1
            if loaded and version == 2:
                loader.load_state_dict(saved)
        assert [bits(batch) for batch in itertools.islice(endless(loader), 3)] == reference, "it goes on where it was"
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
