"""For all tests: what the suite was started with must not decide about them."""

from __future__ import annotations

import os
import signal

# Programs that tests start inherit an ignored Ctrl-C, which a shell gives to what it runs in the background.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A locale that is not there has bash warn of it on standard error.
os.environ.pop("LC_ALL", None)
