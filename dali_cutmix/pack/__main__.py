"""``python -m dali_cutmix.pack``, see :mod:`dali_cutmix.pack.cli`."""

import sys

from dali_cutmix.pack.cli import main

if __name__ == "__main__":
    sys.exit(main())
