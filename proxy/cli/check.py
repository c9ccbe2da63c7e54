"""`pyproxy check`."""

import os

import click

from proxy.cli.exits import CONFIGURATION, fail
from proxy.cli.options import config_option
from proxy.cli.table import table
from proxy.clock import wall_time
from proxy.compiler.describe import describe
from proxy.routing.program import Program
from proxy.run.in_force import InForce, made_ready
from proxy.run.loading import LoadError, load
from proxy.run.privileges import PrivilegeError
from proxy.run.reach import folders_out_of_reach
from proxy.settings.advice import warnings

HEADINGS = ("site", "route", "methods", "if", "goes to", "policies", "limits")


@click.command(name="check")
@config_option
@click.option("--quiet", "-q", is_flag=True, help="Show mistakes and advice only.")
def command(config: str, *, quiet: bool) -> None:
    """Check a configuration and show what it comes to. Nothing is made or changed.

    Exit code 78 if it is wrong. Advice on what is allowed and yet probably not meant is shown on
    stderr and changes no exit code.
    """
    try:
        force = made_ready(load(config, os.environ, create=False), 0, wall_time())
    except (LoadError, PrivilegeError, ValueError) as error:
        fail(str(error), CONFIGURATION)
    advice = list(warnings(force.loaded.settings))
    if force.identity is not None:
        advice += folders_out_of_reach(force.loaded.settings, force.identity)
    for problem in advice:
        click.echo(f"advice: {problem}", err=True)
    for remark in force.loaded.remarks:
        click.echo(f"advice: {remark}", err=True)
    if not quiet:
        click.echo(f"{config}: right\n\n{summary(force)}\n\n{routes(force.program)}")


def summary(force: InForce) -> str:
    """Return what is not about single routes."""
    listen = [
        f"{endpoint.host or '*'}:{endpoint.port} ({'https' if endpoint.tls else 'http'})"
        for endpoint in force.program.endpoints
    ]
    lines = [
        ("listens on", ", ".join(listen)),
        ("workers", str(force.workers)),
        ("state in", str(force.state_dir)),
    ]
    if force.identity is not None:
        lines.append(("workers run as", force.identity.name))
    return "\n".join(f"{name:<16}{value}" for name, value in lines)


def routes(program: Program) -> str:
    """Return the table of routes, and below it the headers of every answer."""
    rows = describe(program)
    cells = [
        (
            row.site,
            row.path,
            row.methods,
            row.conditions,
            row.action,
            row.policies,
            row.limits,
        )
        for row in rows
    ]
    blocks = [table([HEADINGS, *cells])]
    for headers in dict.fromkeys(row.headers for row in rows if row.headers):
        where = [f"{row.site} {row.path}" for row in rows if row.headers == headers]
        everywhere = len(where) == len(rows)
        title = "every answer has" if everywhere else f"answers of {', '.join(where)} have"
        blocks.append("\n".join([title, *(f"  {line}" for line in headers)]))
    return "\n\n".join(blocks)
