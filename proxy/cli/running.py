"""Asking the proxy that runs with a configuration."""

import os
from pathlib import Path

from proxy.cli.exits import CONFIGURATION, fail
from proxy.run.control import Answer, NotRunningError, ask
from proxy.run.state_folder import NoStateFolderError, state_folder


def folder_of(config: str) -> Path:
    """Return the state folder of a configuration, or end the command."""
    try:
        return state_folder(config, os.environ)
    except NoStateFolderError as error:
        fail(str(error), CONFIGURATION)


def asked(config: str, question: str, timeout: float) -> Answer:
    """Return the running proxy's answer, whether it says ok or not, or end the command."""
    try:
        return ask(folder_of(config), question, timeout)
    except NotRunningError as error:
        fail(f"pyproxy: {error}")
