"""Clocks: CPU time of process groups and of the machine, and the time of calls on a device.

Imports PyTorch and nothing heavier, as the process of every measured loader imports it.
"""

from bench.common.timing.call_times import CallTimes, synchronize, time_calls
from bench.common.timing.cpu_time import group_seconds, machine_seconds, wait_until_quiet

__all__ = ["CallTimes", "group_seconds", "machine_seconds", "synchronize", "time_calls", "wait_until_quiet"]
