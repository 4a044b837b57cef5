"""``python -m dali_cutmix.check``, see :mod:`dali_cutmix.check.cli`."""

from dali_cutmix.check.cli import main
from dali_cutmix.utils import exit_with

if __name__ == "__main__":
    exit_with(main)
