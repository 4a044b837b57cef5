"""``python -m dali_cutmix.pack``, see :mod:`dali_cutmix.pack.cli`."""

from dali_cutmix.pack.cli import main
from dali_cutmix.utils import exit_with

if __name__ == "__main__":
    exit_with(main)
