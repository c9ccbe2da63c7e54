"""Exit codes, and how a command ends that failed. Click itself ends wrong usage with 2."""

import os
import sys
from typing import NoReturn

from proxy.observe.log_text import one_line

FAILED = 1
"""The machine or a running proxy is at fault."""

CONFIGURATION = os.EX_CONFIG
"""78: the configuration is wrong. A service manager need not try again."""


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a message on stderr, whatever of it others wrote."""
    sys.stderr.write("".join(f"{one_line(line)}\n" for line in message.split("\n")))
    raise SystemExit(code)
