"""The result of a benchmark as JSON: what was measured, on which machine, with which versions and settings."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dali_cutmix.utils import write_atomically
from train.reporting import machine, versions


def new_result(benchmark: str, device: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Make the head of a result; the benchmark adds its measurements."""
    return {
        "benchmark": benchmark,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(device),
        "versions": versions(),
        "settings": settings,
    }


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Write a result whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(result, indent=2) + "\n").encode())
