"""The order of things; each file is a command: `python -m runbooks.NAME`."""

import sys
from types import TracebackType


def _say(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Show an error that nobody caught; Ctrl-C, while a command is still being imported, is none to be traced."""
    if issubclass(kind, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _say
