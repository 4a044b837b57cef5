"""Command line: ``python -m bench loaders | decode | step | tune | kernel | gpu | soak | startup | gallery``."""

import sys
from collections.abc import Callable

from train.interrupts import INTERRUPTED, interrupts_end_process

with interrupts_end_process():
    import tyro

    import dali_cutmix as dc
    from bench.common.processes import interruptible
    from bench.decode.command import decode
    from bench.gallery import gallery
    from bench.gpu.command import gpu
    from bench.kernel import kernel
    from bench.loaders.command import loaders
    from bench.soak.command import soak
    from bench.startup import startup
    from bench.step.command import step
    from bench.tune.command import tune
    from dali_cutmix.utils import LINES, ends_with_reader, exit_with, printable

COMMANDS: dict[str, Callable[..., int]] = {
    "loaders": loaders,
    "decode": decode,
    "step": step,
    "tune": tune,
    "kernel": kernel,
    "gpu": gpu,
    "soak": soak,
    "startup": startup,
    "gallery": gallery,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; invalid input ends with one line that says how to fix it, and exit status 2.

    SIGTERM and SIGINT end it with exit status 130; results written before are kept.
    """
    try:
        with interruptible(), ends_with_reader():
            return tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="python -m bench", args=arguments)
    except (ValueError, OSError, dc.DecodeError) as error:
        print(f"error: {printable(error, keep=LINES)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    exit_with(main)
