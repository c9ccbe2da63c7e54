"""`python -m benchmarks`: measure the servers beside each other and write what came of it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks import machine, packages, report, results
from benchmarks.comparison import compare
from benchmarks.rig import Rig, Settings
from benchmarks.rows import ROWS, Row, chosen
from benchmarks.servers import catalogue
from benchmarks.servers.server import Server

RESULTS = Path(__file__).parent / "results"
GENERATORS = ("wrk", "h2load", "taskset", "nginx")
QUICK = Settings(seconds=1, rounds=1, idle_connections=300, warm_up=0)
QUICK_ROWS = ",".join(row.key for row in ROWS if row.key != "second")


@click.command(help=__doc__)
@click.option("--rows", default="", help=f"Some of: {','.join(row.key for row in ROWS)}.")
@click.option("--servers", default=",".join(catalogue.DEFAULT), help="Names with commas.")
@click.option("--tree", multiple=True, help="NAME=FOLDER: pyproxy of another checkout, beside.")
@click.option("--python", multiple=True, help="NAME=PROGRAM: pyproxy under another interpreter.")
@click.option("--seconds", type=click.IntRange(1), default=2, help="Length of a round.")
@click.option("--rounds", type=click.IntRange(1), default=4, help="Rounds of each row.")
@click.option("--connections", type=click.IntRange(1), default=32, help="Connections of the load.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder to write.")
@click.option(
    "--quick", is_flag=True, help="Two minutes, cold, no second worker: to see that all works."
)
def main(  # noqa: PLR0913 - one parameter for each option
    *,
    rows: str,
    servers: str,
    tree: tuple[str, ...],
    python: tuple[str, ...],
    seconds: int,
    rounds: int,
    connections: int,
    out: Path,
    quick: bool,
) -> None:
    try:
        wanted_rows = chosen(rows or (QUICK_ROWS if quick else ""))
        wanted = chosen_servers(servers, tree, python)
        ensure_programs(wanted)
    except (ValueError, packages.MissingProgramsError) as error:
        raise click.ClickException(str(error)) from error
    settings = QUICK if quick else Settings(seconds, rounds, connections)
    run = measure(wanted_rows, wanted, settings)
    paths = results.write(run, out)
    print(report.main_table(run.rows, run.servers, run.cells))
    print()
    print(report.detail_table(run.rows, run.cells))
    print()
    print(report.troubles(run.rows, run.cells))
    print("written:", *paths)
    sys.exit(0 if all(cell.valid for cell in run.cells) else 1)


def chosen_servers(names: str, trees: tuple[str, ...], pythons: tuple[str, ...]) -> list[Server]:
    """The servers named, then other checkouts, then other interpreters.

    Raises:
        ValueError: a name is none of a server, or a NAME=PATH is not one.
    """
    known = catalogue.all_servers()
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no server {', '.join(unknown)}; there are {', '.join(known)}")
    others = {**catalogue.other_trees(trees), **catalogue.other_pythons(pythons)}
    return [*(known[name] for name in wanted), *others.values()]


def ensure_programs(servers: Sequence[Server]) -> None:
    """Install what is missing.

    Raises:
        MissingProgramsError: it cannot be installed here.
    """
    needed = [*GENERATORS, *(package for server in servers for package in server.packages)]
    absent = packages.missing(needed)
    if absent:
        packages.install(absent)


def measure(rows: Sequence[Row], servers: Sequence[Server], settings: Settings) -> results.Run:
    """Do the run, telling on standard error how it goes."""
    about = machine.describe()
    versions = {server.name: server.version() for server in servers}
    with Rig(settings) as rig:
        cells = compare(rig, rows, servers, lambda line: print(line, file=sys.stderr, flush=True))
    return results.Run(about, versions, settings, rows, cells)


if __name__ == "__main__":
    main()
