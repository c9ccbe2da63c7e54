"""`pyproxy` itself: which commands there are; each one's module is imported when it is used."""

from importlib import import_module

import click

import proxy

COMMANDS = {
    "serve": "Serve until told to end.",
    "check": "Check a configuration and show what it comes to.",
    "reload": "Have the running proxy take on its changed configuration.",
    "stop": "Have the running proxy finish what it does, and end.",
    "status": "Show how the running proxy does.",
    "health": "Succeed if the running proxy serves (for HEALTHCHECK).",
    "hash-password": "Print the hash of a password, for basic_auth.",
    "schema": "Print the JSON Schema of the configuration, for editors.",
}
"""Every command and its one line of help: showing them must not import all of them."""


class Commands(click.Group):
    """Finds a command `x-y` as `command` in the module `proxy.cli.x_y`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, None for an unknown one."""
        if cmd_name not in COMMANDS:
            return None
        found = import_module(f"proxy.cli.{cmd_name.replace('-', '_')}").command
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the names with their help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(proxy.__version__, prog_name="pyproxy", message="%(prog)s %(version)s")
def command() -> None:
    """A TLS-terminating reverse proxy: https, certificates and routing in front of your servers.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.
    """
