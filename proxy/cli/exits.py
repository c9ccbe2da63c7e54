"""Exit codes, and how a command ends that failed. Click itself ends wrong usage with 2."""

import os
import sys
from typing import NoReturn

FAILED = 1
"""The machine or a running proxy is at fault."""

CONFIGURATION = os.EX_CONFIG
"""78: the configuration is wrong. A service manager need not try again."""


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a message on stderr."""
    sys.stderr.write(f"{message}\n")
    raise SystemExit(code)
