"""`pyproxy stop`."""

import click

from proxy.cli.exits import fail
from proxy.cli.options import config_option
from proxy.cli.running import asked
from proxy.run.control import has_ended


@click.command(name="stop")
@config_option
@click.option(
    "--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait."
)
def command(config: str, timeout: float) -> None:
    """Have the running proxy finish what it does, and end; wait until it has.

    Running requests get `drain_timeout`. Asked a second time, the proxy ends at once.
    """
    answer = asked(config, "stop", timeout)
    pid = answer.get("pid")
    if not answer.get("ok") or not isinstance(pid, int):
        fail(f"pyproxy: {answer.get('why')}")
    if not has_ended(pid, timeout):
        fail(f"pyproxy: it still lets requests finish after {timeout:g} s (pid {pid})")
    click.echo("stopped")
