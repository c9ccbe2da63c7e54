"""`pyproxy serve`."""

import os

import click

from proxy.cli.exits import CONFIGURATION, fail
from proxy.cli.options import config_option
from proxy.run.loading import LoadError
from proxy.run.privileges import PrivilegeError
from proxy.run.serve import serve
from proxy.run.supervisor import StartError


@click.command(name="serve")
@config_option
def command(config: str) -> None:
    """Serve until told to end.

    Stays in the foreground. SIGTERM lets running requests finish, a second one ends at once;
    SIGHUP reloads the configuration, SIGUSR1 opens the logs again.
    """
    try:
        serve(config, os.environ)
    except (LoadError, PrivilegeError) as error:
        fail(str(error), CONFIGURATION)
    except StartError as error:
        fail(f"pyproxy: {error}")
