"""FailedOperator: which operators of a graph failed, and where the user's code has them, from DALI's message."""

import re
from pathlib import Path
from typing import NamedTuple

import nvidia.dali

from dali_cutmix.ops import inspect_images
from dali_cutmix.sources import Source

_FAILED = re.compile(
    r"Error in \w+ operator `(?:nvidia\.dali\.)?(?P<name>[^`]+)`(?P<rest>.*?)(?=Error in \w+ operator|\Z)", re.S
)
_FRAME = re.compile(
    r'^  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)\n(?:    (?P<code>.+))?', re.MULTILINE
)
_OF_PYTHON = re.compile(
    r"DLTensorPythonFunction error: (?:DamagedHeaderError|StrayBytesError|NotSupportedError|SampleError): "
)
_OF_STORAGE = re.compile(r"OSError|Error: \[Errno \d+\]")
_READS, _DECODES = ("reader", "file.read"), ("decoder", "peekimageshape")
_OF_ANYBODY = ("reshape", "pythonfunction")
"""Operators that the library reads or checks samples with, and that users have for other purposes."""

_DECODE, _SOURCES = Path(inspect_images.__code__.co_filename), Path(Source.nodes.__code__.co_filename).parent
_LIBRARIES = (_SOURCES.parent, Path(nvidia.dali.__file__).parent)


class Frame(NamedTuple):
    """Place where an operator was added to the graph: a line of a function."""

    file: Path
    line: str
    function: str
    code: str | None


class FailedOperator(NamedTuple):
    """An operator that failed.

    Args:
        name: as DALI has it, such as ``fn.reshape``.
        frames: where it was added to the graph, the innermost call last; empty if DALI does not trace.
        message: what it says.
    """

    name: str
    frames: tuple[Frame, ...]
    message: str

    @property
    def reads_or_decodes(self) -> bool:
        """Whether it may have failed for a bad sample; where nobody knows, True: decoding the samples will tell."""
        kind = self.name.replace("_", "").lower()
        if any(word in kind for word in _READS + _DECODES):
            return "cropping window" not in self.message  # that an image is smaller than what the graph cuts out of it
        ours = not self.frames or self.frames[-1].file == _DECODE or self.frames[-1].file.parent == _SOURCES
        return ours and kind.endswith(_OF_ANYBODY)

    @property
    def only_reads(self) -> bool:
        """Whether it failed without having looked at a sample's bytes: then the storage may be at fault."""
        kind = self.name.replace("_", "").lower()
        return any(word in kind for word in _READS) or _OF_STORAGE.search(self.message) is not None

    @property
    def place(self) -> str:
        """Where the user's code adds it to the graph, as ``" (line …)"``; empty if that is unknown."""
        users = [frame for frame in self.frames if not any(map(frame.file.is_relative_to, _LIBRARIES))]
        if not users:
            return ""
        file, line, function, code = users[-1]
        return f" (line {line} of {file}, in {function}{f': {code}' if code else ''})"


def failed_operators(error: Exception) -> list[FailedOperator]:
    """The operators that failed according to DALI's message; none if it is about something else."""
    found = []
    for match in _FAILED.finditer(str(error)):
        trace, _, message = match["rest"].rpartition("encountered:")
        frames = (Frame(Path(f["file"]), f["line"], f["function"], f["code"]) for f in _FRAME.finditer(trace))
        found.append(FailedOperator(match["name"], tuple(frames), message))
    return found


def is_about_samples(error: RuntimeError) -> bool:
    """Whether DALI's error comes from an operator that reads or decodes."""
    return any(operator.reads_or_decodes for operator in failed_operators(error))


def is_about_storage(error: RuntimeError) -> bool:
    """Whether DALI's error comes from operators that read, and no sample's bytes are to blame."""
    failed = failed_operators(error)
    return bool(failed) and all(operator.only_reads for operator in failed)


def graph_error(error: RuntimeError) -> RuntimeError:
    """Make the error to raise instead of DALI's where no sample is to blame: it names the operator and its place."""
    failed = " ".join(f"{operator.name} failed{operator.place}." for operator in failed_operators(error))
    return RuntimeError(
        f"{failed or 'The graph failed.'} No file is to blame: no file was replaced or logged for it. Fix the graph. "
        f"DALI says: {error}"
    )


def short_reason(error: RuntimeError) -> str:
    """The most informative line of DALI's message."""
    _, _, encountered = str(error).rpartition("encountered:")
    line = next((line.strip() for line in encountered.splitlines() if line.strip()), str(error))
    return _OF_PYTHON.sub("", line)
