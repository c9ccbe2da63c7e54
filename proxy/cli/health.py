"""`pyproxy health`."""

import click

from proxy.cli.exits import fail
from proxy.cli.options import config_option
from proxy.cli.running import asked


@click.command(name="health")
@config_option
@click.option(
    "--timeout", default=3.0, show_default=True, metavar="SECONDS", help="How long to wait."
)
def command(config: str, timeout: float) -> None:
    """Succeed if the running proxy serves; made for a container's HEALTHCHECK."""
    answer = asked(config, "health", timeout)
    if not answer.get("ok"):
        fail(f"pyproxy: {answer.get('why')}")
    click.echo("ok")
