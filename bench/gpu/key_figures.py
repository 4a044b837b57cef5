"""The key figure of each step of ``python -m bench gpu``, read from its log or its JSON."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from bench.loaders.comparison import WHOLE_IMAGES_ON_GPU

_TEST = re.compile(r"^\[(passed|failed|skipped|did not end)(?:: [^]]+)?\] (.+)$", re.MULTILINE)
_DEVICE = re.compile(r"^device: (.+)$", re.MULTILINE)
_COLLECTED = re.compile(r"^\[collected: (\d+)\]", re.MULTILINE)


def _read(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def environment(log: str, _path: Path) -> str:
    """Find the device and its driver."""
    found = _DEVICE.search(log)
    return found[1] if found else ""


def decode(_log: str, path: Path) -> str:
    """Find the fastest way to decode."""
    ways = _read(path)["ways"]
    measured = [way for way in ways if not way["failure"] and way["files"] == "as they are"]
    if not measured:
        return ""
    best = max(measured, key=lambda way: way["images_per_second"])
    failed = len([way for way in ways if way["failure"]])
    return f"{best['images_per_second']:,.0f} images/s ({best['name']})" + (f"; {failed} ways failed" if failed else "")


def outcomes(log: str) -> dict[str, str]:
    """Read the outcome of each test (passed, failed, skipped, did not end) from a log, also of an interrupted run."""
    return {name: outcome for outcome, name in _TEST.findall(log)}


def tests(log: str, _path: Path) -> str:
    """Count the tests that passed, failed, were skipped, did not end, or have no result."""
    found = outcomes(log)
    counts = Counter(found.values())
    figure = ", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped"))
    collected = _COLLECTED.search(log)
    missing = int(collected[1]) - sum("::" in name for name in found) if collected else 0
    figure += f", {counts['did not end']} did not end" if counts["did not end"] else ""
    return figure + (f", {missing} without a result" if missing > 0 else "")


def loaders(_log: str, path: Path) -> str:
    """Compare this library's CutMix with decoding alone, of what its loader decodes on that device."""
    result = _read(path)
    rates = {row["name"]: row["images_per_second"] for row in result["contenders"]}
    whole = WHOLE_IMAGES_ON_GPU["dali-decode"]
    ceiling = whole if result["machine"]["gpu"] and whole in rates else "dali-decode"
    ratio = rates["ours-cutmix"] / rates[ceiling]
    return f"{ratio:.3f} of {ceiling} ({rates['ours-cutmix']:,.0f} images/s)"


def kernel(_log: str, path: Path) -> str:
    """Find the time of CutMix to float16, channels last."""
    found = next(
        row
        for row in _read(path)["passes"]
        if row["mixing"] == "CutMix" and row["dtype"] == "float16" and row["channels_last"]
    )
    bound = "; the host was too slow to tell" if found.get("host_bound") else ""
    return f"{found['ms']:.3f} ms a batch (CutMix, float16 NHWC), {found['of_copy']:.0%} of a copy's bandwidth{bound}"


def step(_log: str, path: Path) -> str:
    """Find the rate of training with the loader, as a share of that on synthetic data."""
    result = _read(path)
    settings = result["settings"]
    return f"{result['ratio']['median']:.3f} of the model's own speed ({settings['model']}, {settings['dtype']})"


def tune(_log: str, path: Path) -> str:
    """List the chosen values, and which of them are the defaults."""
    result = _read(path)
    chosen = []
    for entry in result["measured"]:
        name = entry["setting"]
        if name in result["arguments"]:
            chosen.append(f"{name}={result['arguments'][name]}")
        else:
            chosen.append(f"{name}={entry['default']} (the default, kept)")
    return ", ".join(chosen)
