"""Processes: commands with a time limit, the process table, and SIGTERM as an interrupt.

Imports the standard library only: the processes that the benchmarks start import this package first.
"""

from bench.common.processes.interrupt import interruptible
from bench.common.processes.process_table import Process, all_processes
from bench.common.processes.supervised import CommandEnd, describe_status, run_supervised

__all__ = [
    "CommandEnd",
    "Process",
    "all_processes",
    "describe_status",
    "interruptible",
    "run_supervised",
]
