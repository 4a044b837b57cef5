"""The command dali_cutmix.pack, run in this process, and the files that it writes."""

from dali_cutmix.pack.cli import main


def pack(source, out, **options):
    """The command in this process; its exit status."""
    options = {"workers": 2, "short_side": 64} | options
    return main([str(source), str(out), *(f"--{k.replace('_', '-')}={v}" for k, v in options.items())])


def contents(folder):
    """The bytes of every file of a packed folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
