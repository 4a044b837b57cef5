"""Copies of images to spoil and to mend again while they are read; the user's own files are never touched."""

import contextlib
import io
import random
import shutil
from pathlib import Path

from bench.common import Photos
from dali_cutmix.pack import cli
from dali_cutmix.sources import Manifest, finished_manifest, read_index, scan_folder

SPOILED = b"this is no picture"


class Copies:
    """Images, each a class of its own, so that a label names the sample; as files and packed as shards.

    Args:
        photos: where the images are taken from.
        images: how many.
        folder: an empty one, for the copies.
        rng: chooses the images, and what happens to them.

    Raises:
        ValueError: the images cannot be packed; the message has the reasons.
    """

    def __init__(self, photos: Photos, images: int, folder: Path, rng: random.Random) -> None:
        self._rng = rng
        self.files, self.shards = folder / "files", folder / "shards"
        names, _, _ = scan_folder(photos.root)
        for number, name in enumerate(rng.sample(names, images)):
            (self.files / f"{number:05d}").mkdir(parents=True)
            shutil.copyfile(photos.root / name, self.files / f"{number:05d}" / Path(name).name)
        options = ["--quality=100", "--workers=1", f"--samples-per-shard={-(-images // 4)}"]
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            status = cli.main([str(self.files), str(self.shards), *options])
        if status != 0:
            raise ValueError(f"{photos.root} cannot be packed: {told.getvalue().strip()}")
        self._paths = [path for path in sorted(self.files.glob("*/*")) if path.is_file()]
        self.listing = [(str(path), number) for number, path in enumerate(self._paths)]
        self._content = [path.read_bytes() for path in self._paths]
        self._members = self._find_members()
        self.spoiled: set[int] = set()

    def __len__(self) -> int:
        return len(self._paths)

    def _find_members(self) -> list[tuple[Path, int]]:
        """Shard and offset of every image."""
        manifest: Manifest = finished_manifest(self.shards)
        found = []
        for name, count in manifest.shards.items():
            offsets = read_index(self.shards / name, count)[0]
            found += [(self.shards / name, int(offset)) for offset in offsets]
        return found

    def spoil(self) -> int:
        """Spoil a random image, as a file and in its shard; its number."""
        number = self._rng.randrange(len(self))
        path, content = self._paths[number], self._content[number]
        match self._rng.randrange(4):
            case 0:
                path.unlink(missing_ok=True)
            case 1:
                path.write_bytes(SPOILED)
            case 2:
                path.write_bytes(content[: len(content) // 3])
            case _:
                path.write_bytes(b"")
        self._overwrite(number, SPOILED)
        self.spoiled.add(number)
        return number

    def mend(self) -> None:
        """Let all images be what they were."""
        for number in self.spoiled:
            path, content = self._paths[number], self._content[number]
            whole = path.with_name(f".{path.name}")
            whole.write_bytes(content)
            whole.replace(path)
            self._overwrite(number, content[: len(SPOILED)])
        self.spoiled.clear()

    def number_of(self, name: str, packed: bool) -> int:
        """The number of an image, from what a loader calls it."""
        return int(name.rsplit("(was ", 1)[1].split("/")[0] if packed else Path(name).parent.name)

    def _overwrite(self, number: int, start: bytes) -> None:
        shard, offset = self._members[number]
        with shard.open("r+b") as file:
            file.seek(offset)
            file.write(start)
