"""Small tools that know nothing of images.

- ``checks``: argument checks with one wording for one kind of fault; ``levels``: those of mean and deviation
- ``paths``: one path, several, or a pattern → a list of files; ``braces``: patterns such as ``{000..099}``
- ``command``: how a command ends, with what it prints on errors
- ``compression``: files that were compressed, and the command that unpacks them
- ``atomic_files``: files that are written as a whole or not at all
- ``cache``: files that can be generated again, in a folder of the user's own, ``~/.cache/dali_cutmix``
- ``child_processes``: work in child processes that may crash or hang
- ``files``: files that others may have placed are opened with care
- ``ordered_pool``: work done in parallel, results in order
- ``printable``: names of files as a terminal may show them, and ten of many
- ``protobuf``: the wire format of protocol buffers
- ``accepted``: the optional arguments that a user's function takes
- ``uncopyable``: a base for objects that cannot be copied or pickled
- ``worker``: a thread whose caller may be interrupted anywhere
"""

from dali_cutmix.utils.accepted import accepted
from dali_cutmix.utils.atomic_files import (
    make_atomically,
    publish,
    remove_leftovers,
    temporary_beside,
    write_atomically,
)
from dali_cutmix.utils.cache import (
    cache_folder,
    cache_path,
    forget,
    generated,
    generated_before,
    make_cache_folder,
    remember,
    remembered,
)
from dali_cutmix.utils.checks import (
    Split,
    check_chance,
    check_chances,
    check_choice,
    check_classes,
    check_fraction,
    check_max_pixels,
    check_named_classes,
    check_padding,
    check_preallocate,
    check_range,
    check_resize,
    check_seconds,
    check_seed,
    check_shard,
    check_size,
    check_split,
    check_whole,
)
from dali_cutmix.utils.child_processes import Crash, Outcome, map_in_children
from dali_cutmix.utils.command import ArgumentParser, ends_with_reader, exit_with, run_command
from dali_cutmix.utils.compression import is_compressed_tar, refuse_compressed
from dali_cutmix.utils.files import (
    DESCRIPTORS,
    MAX_BYTES,
    OF_PROCESS,
    MemoryFile,
    NotRegularFileError,
    TooLargeError,
    check_regular,
    naming,
    one_byte,
    open_lock,
    open_regular,
    opened_unless_link,
    read_regular,
    read_text,
)
from dali_cutmix.utils.levels import check_levels
from dali_cutmix.utils.ordered_pool import in_order
from dali_cutmix.utils.paths import PathLike, Paths, check_name, check_no_url, local_files, local_paths, path_below
from dali_cutmix.utils.printable import LINES, printable, shown_paths
from dali_cutmix.utils.protobuf import fields, to_varint, varint
from dali_cutmix.utils.uncopyable import Uncopyable
from dali_cutmix.utils.worker import Task, Worker

__all__ = [
    "DESCRIPTORS",
    "LINES",
    "MAX_BYTES",
    "OF_PROCESS",
    "ArgumentParser",
    "Crash",
    "MemoryFile",
    "NotRegularFileError",
    "Outcome",
    "PathLike",
    "Paths",
    "Split",
    "Task",
    "TooLargeError",
    "Uncopyable",
    "Worker",
    "accepted",
    "cache_folder",
    "cache_path",
    "check_chance",
    "check_chances",
    "check_choice",
    "check_classes",
    "check_fraction",
    "check_levels",
    "check_max_pixels",
    "check_name",
    "check_named_classes",
    "check_no_url",
    "check_padding",
    "check_preallocate",
    "check_range",
    "check_regular",
    "check_resize",
    "check_seconds",
    "check_seed",
    "check_shard",
    "check_size",
    "check_split",
    "check_whole",
    "ends_with_reader",
    "exit_with",
    "fields",
    "forget",
    "generated",
    "generated_before",
    "in_order",
    "is_compressed_tar",
    "local_files",
    "local_paths",
    "make_atomically",
    "make_cache_folder",
    "map_in_children",
    "naming",
    "one_byte",
    "open_lock",
    "open_regular",
    "opened_unless_link",
    "path_below",
    "printable",
    "publish",
    "read_regular",
    "read_text",
    "refuse_compressed",
    "remember",
    "remembered",
    "remove_leftovers",
    "run_command",
    "shown_paths",
    "temporary_beside",
    "to_varint",
    "varint",
    "write_atomically",
]
