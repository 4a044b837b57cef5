"""Portable checkpoints: a pipeline's checkpoint in a form that does not depend on how its graph decodes.

DALI's checkpoint is a protobuf message with one entry for each operator: its name and its state. DALI names operators
by their kind and a running number. Two graphs that read the same samples and draw the same numbers, and differ only in
how they decode, therefore have different names for the same state. What a ``Loader`` saves is named by kind and order
instead, and leaves out the operators that read, decode or copy: they have no state.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import count

from dali_cutmix.utils import fields, to_varint, varint

_OPERATOR, _PIPELINE = 1, 2  # fields of the message
_AUTOMATIC = re.compile(r"_+(?P<kind>[A-Za-z]\w*?)_(?P<number>\d+)")
_COPIES = ("__MakeContiguous_", "__Copy_CpuToGpu_", "__Copy_GpuToCpu_")
"""Prefixes of operators that DALI adds itself, to copy outputs."""
_DECODING = ("Image", "ImageSlice", "Slice", "PeekImageShape", "Read", "PythonFunction", "Split", "Merge")
"""Kinds of operators that read, inspect and decode: how many there are may change, and they have no state."""
_FORMERLY = {"ImageRandomCrop": "RandomCropGenerator"}
"""Kinds of operators in old states, and their kinds now: decoding once drew the windows of random crops itself."""


def entries(checkpoint: bytes) -> list[tuple[str | None, bytes]]:
    """Split a checkpoint into its entries.

    Returns:
        The operator's name, None for the pipeline's own entry, and the entry's bytes; for each entry.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    found: list[tuple[str | None, bytes]] = []
    for number, content in fields(memoryview(checkpoint)):
        name = _name(bytes(content)) if number == _OPERATOR else None
        if number not in (_OPERATOR, _PIPELINE):
            raise ValueError(f"an unknown field {number}")
        found.append((name, _with_length(number, bytes(content))))
    if b"".join(entry for _, entry in found) != checkpoint:
        raise ValueError("an entry is not written as DALI does")
    if len(dict(found)) != len(found) or None not in dict(found):
        raise ValueError("an entry is missing or comes twice")
    return found


def _name(content: bytes) -> str:
    """Name of the operator that an entry belongs to, from the entry's content."""
    parts = [bytes(part) for _, part in fields(memoryview(content))]
    rewritten = b"".join(_with_length(number, part) for number, part in enumerate(parts[:2], start=1))
    if not parts or rewritten != content:
        raise ValueError("an operator's entry is not a name and a state")
    return parts[0].decode()


def portable(checkpoint: bytes) -> bytes:
    """Convert a checkpoint: leave out operators without a state, and name the others by kind and order."""
    found = dict(entries(checkpoint))
    names = _portable_names({name: entry for name, entry in found.items() if name})
    parts = {new: _renamed(found[name], new) for name, new in names.items()}
    return b"".join([*(parts[new] for new in sorted(parts)), found[None]])


def localized(saved: bytes, own: bytes, *, all_operators: bool = True) -> bytes:
    """Convert a portable checkpoint to one for a given graph.

    Entries that the graph has no operator for keep their portable name, and DALI refuses them for it. It also refuses a
    checkpoint without an entry for an operator that has a state.

    Args:
        saved: from :func:`portable`, or an older one with DALI's names.
        own: any checkpoint of that graph, from DALI.
        all_operators: whether the graphs must have the same operators; False compares those with a state only. Verbs
            once read and decoded with other ones.
    """
    found = dict(entries(portable(saved)))
    if not all_operators:
        found = {name: entry for name, entry in found.items() if name is None or operator_state(entry)}
    here = {name: entry for name, entry in entries(own) if name}
    names = _portable_names(here)
    parts = []
    for name, entry in here.items():
        if name in names and names[name] in found:
            parts.append(_renamed(found.pop(names[name]), name))
        elif name not in names or not (all_operators or operator_state(entry)):
            parts.append(entry)
    return b"".join([*parts, *found.values()])


def moved(checkpoint: bytes, reader: str, epoch: int, sample: int) -> bytes:
    """Move the reader in a checkpoint to another place of its sequence; all other operators stay where they are.

    Args:
        checkpoint: from DALI.
        reader: name of the reader, one of files.
        epoch, sample: the next sample that it reads: how many it has read of which epoch, with padding.
    """
    found = dict(entries(checkpoint))
    generator, _, _ = place_of_reader(operator_state(found[reader])) or (b"", 0, 0)
    place = b"\x10" + to_varint(epoch) + b"\x18" + to_varint(sample)
    state = _with_length(1, _with_length(1, generator) + place)
    found[reader] = _with_length(1, _with_length(1, reader.encode()) + _with_length(2, state))
    return b"".join(found.values())


def at_iteration(checkpoint: bytes, iteration: int) -> bytes:
    """Move the sources of ``fn.external_source`` in a checkpoint; operators of DALI stay where they are.

    Args:
        checkpoint: from DALI.
        iteration: number of the next batch that they are asked for.
    """
    found = dict(entries(checkpoint))
    [(key, own)] = fields(memoryview(found[None]))
    parts = {number: bytes(part) for number, part in fields(own)}
    parts[1] = json.dumps(json.loads(parts[1]) | {"iter": iteration}).encode()
    found[None] = _with_length(key, b"".join(_with_length(number, part) for number, part in parts.items()))
    return b"".join(found.values())


def place_of_reader(state: bytes) -> tuple[bytes, int, int] | None:
    """The state of a reader: that of its random numbers, its epoch, and the samples that it has read of it.

    Returns:
        None if the state is not that of a reader.
    """
    try:
        [(outer, loader)] = fields(memoryview(state))
        (one, generator), (two, epoch), (three, sample) = fields(loader)
        place = varint(epoch, 0)[0], varint(sample, 0)[0]
    except (ValueError, IndexError):
        return None
    return (bytes(generator), *place) if (outer, one, two, three) == (1, 1, 2, 3) else None


def _portable_names(operators: Mapping[str, bytes]) -> dict[str, str]:
    """Portable name of each operator that has one, from their entries; names given by the user stay."""
    found: dict[str, str] = {}
    numbered: list[tuple[str, int, str]] = []
    for name, entry in operators.items():
        stateless = not operator_state(entry)
        if stateless and name.startswith(_COPIES):
            continue
        if not (automatic := _AUTOMATIC.fullmatch(name)):
            found[name] = name
            continue
        kind = _FORMERLY.get(automatic["kind"], automatic["kind"])
        if not (stateless and kind in _DECODING):
            numbered.append((kind, int(automatic["number"]), name))
    counts: dict[str, Iterator[int]] = {}
    for kind, _, name in sorted(numbered):
        found[name] = f"{kind}#{next(counts.setdefault(kind, count()))}"
    return found


def _after_name(entry: bytes) -> bytes:
    """The part of an operator's entry behind its name: its state, with a key and a length."""
    _, at = varint(entry, 0)
    _, at = varint(entry, at)
    length, at = varint(entry, at + 1)
    return entry[at + length :]


def operator_state(entry: bytes) -> bytes:
    """State of an operator; empty where it has none."""
    rest = _after_name(entry)
    return rest[varint(rest, 1)[1] :] if rest else b""


def _renamed(entry: bytes, name: str) -> bytes:
    """Give an operator's entry another name."""
    return _with_length(1, _with_length(1, name.encode()) + _after_name(entry))


def _with_length(field: int, content: bytes) -> bytes:
    """Encode a field of a message whose content has a length: text, bytes or a message."""
    return bytes([field << 3 | 2]) + to_varint(len(content)) + content
