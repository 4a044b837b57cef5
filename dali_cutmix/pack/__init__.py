"""Pack a folder of classes into shards of smaller JPEGs: ``python -m dali_cutmix.pack``.

    SRC/cat/1.jpg …  ── encode (a pool of processes) ──▶ smaller JPEGs ── writer ──▶ OUT/shard-00000.tar, .idx
                                                                                    OUT/dali_cutmix.json (the manifest)

``cli`` is the command; ``dali_cutmix.read_folder(OUT)`` reads what it wrote (see :mod:`dali_cutmix.sources`).
"""

from dali_cutmix.pack import cli

__all__ = ["cli"]
