"""``python -m bench soak``: run loaders with interruptions and damaged files, for minutes or a night."""

import math
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from bench.common.cli import check_minimum, choose_device, new_result, write_json
from bench.common.photos import open_photos
from bench.soak.damaged_copies import DamagedCopies
from bench.soak.loader_kinds import BATCH_SIZE, SIZE, loader_kinds
from bench.soak.resource_trend import LEAST, ResourcePoint, ResourceTrend, describe_growth, quiet_point, trends
from bench.soak.turns import EPOCHS, Soak, SoakCounts, SoakError

IMAGES = 8 * BATCH_SIZE
WARM_UP = 0.2
"""Share of the time that is warm-up."""
INTERVAL = 30.0
"""Seconds between two lines of progress."""


def soak(
    minutes: float = 10.0,
    data: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    json: Path | None = None,
) -> int:
    """Run loaders for a time with resumes, early exits and bad files; nothing may grow, differ or get lost.

    Loaders for training (fused and unfused, with several policies) and for evaluation, of files and of shards, take
    turns. In each turn a loader is stopped in the middle of an epoch, resumed from its own states or replaced by a new
    one, and mixing is switched off and on: its batches must be those of an uninterrupted run, bit for bit. Then files
    are deleted, truncated or overwritten and restored meanwhile: every other sample must come. After each turn, when no
    loader is alive, memory, open files and threads of the process are recorded. After a warm-up (the first fifth, and
    until each loader has had a turn with one policy) the medians of the first and the last third may differ by 3 % and
    8 MiB of memory, and by no open file and no thread.

    Args:
        minutes: how long to run; longer if a trend needs more turns.
        data: folder with one subfolder of images for each class; by default crops of two photographs. Some images are
            copied; the folder itself is only read.
        seed: seed of the events.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        json: file for the result.

    Returns:
        0, or 1 where something grew, differed or got lost.
    """
    if not 0 < minutes < math.inf:
        raise ValueError(f"--minutes {minutes:g} given; it is how long to run, above 0.")
    check_minimum(0, seed=seed)
    device = choose_device(device)
    photos = open_photos(data)
    if photos.images < IMAGES:
        raise ValueError(f"{photos.root} holds {photos.images} images; at least {IMAGES} are needed.")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        copies = DamagedCopies(photos, IMAGES, Path(folder), random.Random(seed))
        run = _SoakRun(Soak(copies, device, Path(folder) / "bad.jsonl", random.Random(seed)), device)
        problems = run.go(60 * minutes)
    found = run.trends()
    problems += describe_growth(found)
    _summarize(run, found, problems)
    if json:
        settings = {"minutes": minutes, "seed": seed, "images": IMAGES, "batch_size": BATCH_SIZE, "size": SIZE}
        result = new_result("soak", device, settings | {"epochs": EPOCHS, "data": "own" if data else "samples"})
        result |= {
            "seconds": run.seconds,
            **asdict(run.counts),
            "warm_up_points": run.warm_up,
            "points": [asdict(point) for point in run.points],
            "trends": {name: asdict(trend) for name, trend in found.items()},
            "problems": problems,
        }
        write_json(json, result)
    return 1 if problems else 0


class _SoakRun:
    """The turns of a soak, and the resources after each."""

    def __init__(self, soak: Soak, device: str) -> None:
        self._soak = soak
        self._kinds = loader_kinds(device)
        self._least = len({(kind.name, kind.packed) for kind in self._kinds})
        self.points: list[ResourcePoint] = []
        self.warm_up = 0
        self.seconds = 0.0

    @property
    def counts(self) -> SoakCounts:
        return self._soak.counts

    def go(self, seconds: float) -> list[str]:
        """Take turns for this long, and return the problems."""
        start = printed = time.monotonic()
        while time.monotonic() - start < seconds or len(self.points) - self.warm_up < LEAST:
            try:
                self._soak.turn(self._kinds[len(self.points) % len(self._kinds)])
            except SoakError as error:
                self.seconds = time.monotonic() - start
                return [str(error)]
            least = min(self.points, key=lambda point: (point.threads, point.files), default=None)
            self.points.append(quiet_point(start, least))
            if len(self.points) <= self._least or self.points[-1].seconds < WARM_UP * seconds:
                self.warm_up = len(self.points)
            if time.monotonic() - printed >= INTERVAL:
                printed = time.monotonic()
                print(self.line(), flush=True)
        self.seconds = time.monotonic() - start
        return []

    def trends(self) -> dict[str, ResourceTrend]:
        """Compute the trends after the warm-up; none if the run ended too early for them."""
        points = self.points[self.warm_up :]
        return trends(points) if len(points) >= LEAST else {}

    def line(self) -> str:
        """Describe the progress in one line."""
        counts, last = self.counts, self.points[-1]
        return (
            f"{last.seconds:6.0f} s  {counts.batches} batches  {counts.resumes} resumes  {counts.bad} bad files  "
            f"{last.resident / 2**20:.0f} MiB  {last.files} open files  {last.threads} threads"
        )


def _summarize(run: _SoakRun, found: dict[str, ResourceTrend], problems: list[str]) -> None:
    counts = run.counts
    seen = ", ".join(
        f"{name} {trend.first / scale:.0f} → {trend.last / scale:.0f}{unit}"
        for name, trend in found.items()
        for scale, unit in [(2**20, " MiB") if name == "memory" else (1, "")]
    )
    print(
        f"{run.seconds:.0f} s, {counts.turns} turns, {counts.batches} batches, {counts.resumes} resumes, "
        f"{counts.exits} early exits, {counts.toggles} switches of mixing, {counts.bad} bad files; "
        f"{seen or 'no trend'}: {'FAILED' if problems else 'all as it should be'}."
    )
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
