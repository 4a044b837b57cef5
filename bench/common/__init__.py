"""What all benchmarks share: arguments, photographs, timing, supervised processes, results as JSON."""

from bench.common.arguments import (
    check_least,
    check_minutes,
    check_seconds,
    check_silence,
    choose_device,
    cores,
    open_for,
    settings_for,
)
from bench.common.budget import Budget
from bench.common.console import headline, warn_of_disturbance
from bench.common.contender import PREFETCH, Batch, Contender, Settings
from bench.common.cpu_time import group_seconds, machine_seconds, wait_until_quiet
from bench.common.interrupt import STATUS, interruptible
from bench.common.packed_photos import as_files, pack_photos
from bench.common.photos import Photos, digest, long_epoch, open_photos
from bench.common.result import new_result, shared_settings, write_json
from bench.common.supervised import Ended, ended, run
from bench.common.timing import synchronize, time_calls

__all__ = [
    "PREFETCH",
    "STATUS",
    "Batch",
    "Budget",
    "Contender",
    "Ended",
    "Photos",
    "Settings",
    "as_files",
    "check_least",
    "check_minutes",
    "check_seconds",
    "check_silence",
    "choose_device",
    "cores",
    "digest",
    "ended",
    "group_seconds",
    "headline",
    "interruptible",
    "long_epoch",
    "machine_seconds",
    "new_result",
    "open_for",
    "open_photos",
    "pack_photos",
    "run",
    "settings_for",
    "shared_settings",
    "synchronize",
    "time_calls",
    "wait_until_quiet",
    "warn_of_disturbance",
    "write_json",
]
