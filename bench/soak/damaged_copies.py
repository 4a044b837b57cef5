"""Copies of images to damage and restore while they are read; the user's own files are never changed."""

import contextlib
import io
import random
import shutil
from pathlib import Path

from bench.common.photos import PhotoFolder
from dali_cutmix.pack import cli
from dali_cutmix.sources import Manifest, finished_manifest, read_index, scan_folder

DAMAGED = b"this is no picture"


class DamagedCopies:
    """Copies of images, as files and packed as shards. Each is a class of its own, so that a label names the sample.

    Args:
        photos: the images to copy from.
        images: number of copies.
        folder: empty folder for the copies.
        rng: chooses the images, and how they are damaged.

    Raises:
        ValueError: the images cannot be packed; the message has the reasons.
    """

    def __init__(self, photos: PhotoFolder, images: int, folder: Path, rng: random.Random) -> None:
        self._rng = rng
        self.files, self.shards = folder / "files", folder / "shards"
        names, _, _ = scan_folder(photos.root)
        for number, name in enumerate(rng.sample(names, images)):
            (self.files / f"{number:05d}").mkdir(parents=True)
            shutil.copyfile(photos.root / name, self.files / f"{number:05d}" / Path(name).name)
        options = ["--quality=100", "--workers=1", f"--samples-per-shard={-(-images // 4)}"]
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = cli.main([str(self.files), str(self.shards), *options])
        if status != 0:
            raise ValueError(f"{photos.root} cannot be packed: {output.getvalue().strip()}")
        self._paths = [path for path in sorted(self.files.glob("*/*")) if path.is_file()]
        self.listing = [(str(path), number) for number, path in enumerate(self._paths)]
        self._content = [path.read_bytes() for path in self._paths]
        self._members = self._find_members()
        self.damaged: set[int] = set()

    def __len__(self) -> int:
        return len(self._paths)

    def _find_members(self) -> list[tuple[Path, int]]:
        """Find the shard and the offset of every image."""
        manifest: Manifest = finished_manifest(self.shards)
        found = []
        for name, count in manifest.shards.items():
            offsets = read_index(self.shards / name, count)[0]
            found += [(self.shards / name, int(offset)) for offset in offsets]
        return found

    def damage(self) -> int:
        """Damage a random image, as a file and in its shard, and return its number."""
        number = self._rng.randrange(len(self))
        path, content = self._paths[number], self._content[number]
        match self._rng.randrange(4):
            case 0:
                path.unlink(missing_ok=True)
            case 1:
                path.write_bytes(DAMAGED)
            case 2:
                path.write_bytes(content[: len(content) // 3])
            case _:
                path.write_bytes(b"")
        self._overwrite(number, DAMAGED)
        self.damaged.add(number)
        return number

    def restore(self) -> None:
        """Restore all images."""
        for number in self.damaged:
            path, content = self._paths[number], self._content[number]
            whole = path.with_name(f".{path.name}")
            whole.write_bytes(content)
            whole.replace(path)
            self._overwrite(number, content[: len(DAMAGED)])
        self.damaged.clear()

    def number_of(self, name: str, packed: bool) -> int:
        """Find the number of an image from its name in a loader's record."""
        return int(name.rsplit("(was ", 1)[1].split("/")[0] if packed else Path(name).parent.name)

    def _overwrite(self, number: int, start: bytes) -> None:
        shard, offset = self._members[number]
        with shard.open("r+b") as file:
            file.seek(offset)
            file.write(start)
