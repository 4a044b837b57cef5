"""Check that every image of a data set can be decoded, and name those that cannot: ``python -m dali_cutmix.check``.

    paths, options ── data_set ──▶ Source ── decoding (child processes) ──▶ the fault of each bad sample
                                                                               │ cli
                                                                               ▼ lines, JSON, exit status

Child processes decode, each file completely and by the decoder that training uses on a CPU. A file that lets the
decoder crash or hang ends a child only: it is named, and the others are checked.
"""

from dali_cutmix.check.cli import main

__all__ = ["main"]
