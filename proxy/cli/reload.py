"""`pyproxy reload`."""

import click

from proxy.cli.exits import CONFIGURATION, FAILED, fail
from proxy.cli.options import config_option
from proxy.cli.running import asked


@click.command(name="reload")
@config_option
@click.option(
    "--timeout", default=300.0, show_default=True, metavar="SECONDS", help="How long to wait."
)
def command(config: str, timeout: float) -> None:
    """Have the running proxy take on its changed configuration.

    It reads the file it was started with. If that is wrong nothing changes, the mistakes are
    shown and the exit code is 78. Running requests and WebSockets go on under the configuration
    they began with.
    """
    answer = asked(config, "reload", timeout)
    if not answer.get("ok"):
        code = CONFIGURATION if answer.get("configuration") else FAILED
        fail(
            f"{answer.get('why')}\nnothing has changed: the old configuration stays in force", code
        )
    click.echo(f"reloaded: configuration {answer.get('generation')} is in force")
