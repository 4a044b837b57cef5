"""A program that starts the ranks of ``python -m train`` as forks of itself, so that they import once.

It reads a JSON object for each run, with its ``arguments`` (RANK stands for the number of the rank) and the file for
its ``output``; it writes the ranks' process ids, and once all have ended, how.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.training import environment_with
from train import __main__ as train

RANKS = 2
PATIENCE = 120  # seconds


class ForkedRanks:
    """The program; a context. Ranks that still run end with it."""

    def __enter__(self) -> "ForkedRanks":
        self._program = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=environment_with(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def start(self, output: Path, *arguments: object) -> list[int]:
        """Start the ranks of a training; their process ids."""
        request = {"arguments": [*map(str, arguments)], "output": str(output)}
        print(json.dumps(request), file=self._program.stdin, flush=True)
        return self._reply()

    def finish(self) -> list[int]:
        """Let the ranks run to their end; their exit statuses, negative after a signal."""
        return self._reply()

    def _reply(self) -> list[int]:
        return json.loads(self._program.stdout.readline())

    def __exit__(self, *_: object) -> None:
        os.killpg(self._program.pid, 9)
        self._program.communicate()


def wait_for(path: Path) -> None:
    """Until there is such a file."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.005)


def become(rank: int, port: int, request: dict[str, list[str]]) -> None:
    """Become a rank that was just started."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    sys.argv = ["train", *(word.replace("RANK", str(rank)) for word in request["arguments"])]
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)


def main() -> None:
    """Start runs, one after the other, until standard input ends; a forked process leaves it as the command does."""
    for line in sys.stdin:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        ranks = []
        for rank in range(RANKS):
            if not (process := os.fork()):
                become(rank, port, json.loads(line))
                return train.main()
            ranks.append(process)
        print(json.dumps(ranks), flush=True)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) for rank in ranks]), flush=True)


if __name__ == "__main__":
    main()
