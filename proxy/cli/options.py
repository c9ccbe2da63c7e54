"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., object])

PLACES = (Path("proxy.yaml"), Path("/etc/pyproxy/proxy.yaml"))
"""Where a configuration is looked for that nobody names."""


def _found(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value:
        return value
    for place in PLACES:
        if place.is_file():
            return str(place)
    places = " nor ".join(
        f"./{place}" if not place.is_absolute() else str(place) for place in PLACES
    )
    raise click.UsageError(
        f"there is neither {places}: name the file with --config, or in PYPROXY_CONFIG"
    )


def config_option(function: Decorated) -> Decorated:
    """Give a command the option --config; it receives the path of a file."""
    return click.option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="PYPROXY_CONFIG",
        callback=_found,
        help="The configuration. By default PYPROXY_CONFIG, ./proxy.yaml, /etc/pyproxy/proxy.yaml.",
    )(function)
