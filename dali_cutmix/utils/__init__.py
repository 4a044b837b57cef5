"""Small tools that know nothing of images.

- ``checks``: argument checks with one wording for one kind of fault; ``levels``: those of mean and deviation
- ``paths``: one path, several, or a pattern → a list of files; ``braces``: patterns such as ``{000..099}``
- ``compression``: files that were compressed, and the command that unpacks them
- ``atomic_files``: files that are written as a whole or not at all
- ``cache``: files that can be generated again, in ``~/.cache/dali_cutmix``
- ``ordered_pool``: work done in parallel, results in order
- ``protobuf``: the wire format of protocol buffers
- ``accepted``: the optional arguments that a user's function takes
- ``regular_files``: files are opened only if they are regular ones, and not too large
- ``uncopyable``: a base for objects that cannot be copied or pickled
"""

from dali_cutmix.utils.accepted import accepted
from dali_cutmix.utils.atomic_files import make_atomically, publish, write_atomically
from dali_cutmix.utils.cache import cache_folder, cache_path, remember, remembered
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
    check_seed,
    check_shard,
    check_size,
    check_split,
    check_whole,
)
from dali_cutmix.utils.compression import is_compressed_tar, refuse_compressed
from dali_cutmix.utils.levels import check_levels
from dali_cutmix.utils.ordered_pool import in_order
from dali_cutmix.utils.paths import PathLike, Paths, local_files, local_paths
from dali_cutmix.utils.protobuf import fields, to_varint, varint
from dali_cutmix.utils.regular_files import (
    NotRegularFileError,
    TooLargeError,
    check_regular,
    naming,
    open_regular,
    read_regular,
)
from dali_cutmix.utils.uncopyable import Uncopyable

__all__ = [
    "NotRegularFileError",
    "PathLike",
    "Paths",
    "Split",
    "TooLargeError",
    "Uncopyable",
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
    "check_named_classes",
    "check_padding",
    "check_preallocate",
    "check_range",
    "check_regular",
    "check_resize",
    "check_seed",
    "check_shard",
    "check_size",
    "check_split",
    "check_whole",
    "fields",
    "in_order",
    "is_compressed_tar",
    "local_files",
    "local_paths",
    "make_atomically",
    "naming",
    "open_regular",
    "publish",
    "read_regular",
    "refuse_compressed",
    "remember",
    "remembered",
    "to_varint",
    "varint",
    "write_atomically",
]
