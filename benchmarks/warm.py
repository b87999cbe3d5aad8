"""The same run again and again in one process, so that start-up is left out: `python -m benchmarks.warm FOLDER`.

Each line of standard input is answered on standard error: `run`, exit status, seconds. Imports are
kept between runs, and so is what the project itself keeps for a process; connections, inventory and state are not.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.forty_looks import rerun
from plugins.selection import Options


def serve(inventory: Path) -> None:
    """Answer until standard input ends."""
    for _ in sys.stdin:
        began = time.perf_counter()
        status = rerun(Options(inventory=inventory))
        sys.stdout.flush()
        print("run", status, time.perf_counter() - began, file=sys.stderr, flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
