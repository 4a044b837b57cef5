"""``python -m dali_cutmix.check``, see :mod:`dali_cutmix.check.cli`."""

import sys

from dali_cutmix.check.cli import main

if __name__ == "__main__":
    sys.exit(main())
