"""`python -m benchmarks.hotspots`: where a server spends its time in one row, by `perf`.

Needs `perf` (Debian: linux-perf) and the right to use it. Python tells perf its own functions from
3.12 on (PYTHONPERFSUPPORT); that costs time itself, so read shares here and never figures.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from benchmarks import packages
from benchmarks.__main__ import chosen_servers, ensure_programs
from benchmarks.rig import Rig, Settings
from benchmarks.rows import ROWS, Row, chosen
from benchmarks.running import pause
from benchmarks.servers.pyproxy import PyProxy
from benchmarks.servers.server import Server
from benchmarks.work import Handshakes, Requests

KEYS = [row.key for row in ROWS if isinstance(row.work, Requests | Handshakes)]
PYTHON = "py::"


class Traced(PyProxy):
    """pyproxy that tells perf the names of its Python functions."""

    def environment(self) -> Mapping[str, str]:
        """Beside the usual, the switch for perf."""
        return {**super().environment(), "PYTHONPERFSUPPORT": "1"}


@click.command(help=__doc__)
@click.option("--row", type=click.Choice(KEYS), default="small", help="The load.")
@click.option("--server", default="pyproxy", help="The server.")
@click.option("--tree", default="", help="NAME=FOLDER: pyproxy of another checkout instead.")
@click.option("--seconds", type=click.IntRange(1), default=5, help="How long.")
@click.option("--lines", type=click.IntRange(1), default=40, help="Lines of each list.")
def main(*, row: str, server: str, tree: str, seconds: int, lines: int) -> None:
    try:
        (wanted,) = chosen_servers("" if tree else server, (tree,) if tree else (), ())
        ensure_programs([wanted])
    except (ValueError, packages.MissingProgramsError) as error:
        raise click.ClickException(str(error)) from error
    if packages.missing(["perf"]):
        raise click.ClickException("perf is not here; install it with: apt-get install linux-perf")
    with Rig(Settings(seconds=seconds)) as rig:
        recording = rig.stage.folder / "perf.data"
        record(rig, chosen(row)[0], traced(wanted), recording)
        own = report(recording, "--no-children")
        whole = report(recording, "--children")
    print("time in the function itself", *own[:lines], sep="\n")
    python = [line for line in whole if PYTHON in line]
    if python:
        print("\ntime in the Python function and what it calls", *python[:lines], sep="\n")


def traced(server: Server) -> Server:
    """The server, with its Python functions visible if it has any."""
    if isinstance(server, PyProxy):
        return Traced(server.name, server.tree, server.python)
    return server


def record(rig: Rig, row: Row, server: Server, recording: Path) -> None:
    """Put the server to the row's work and record its processes meanwhile.

    Raises:
        ClickException: perf failed.
    """
    row.work.prepare(rig, server)
    seconds = rig.settings.seconds
    pids = ",".join(str(pid) for pid in rig.shared(server).pids())
    command = [
        *("perf", "record", "--freq", "1999", "--call-graph", "fp", "--pid", pids),
        *("--output", str(recording), "--", "sleep", str(max(1, seconds - 1))),
    ]
    with ThreadPoolExecutor() as threads:
        load = threads.submit(row.work.sample, rig, server)
        pause(0.5)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        sample = load.result()
    if done.returncode or not sample.valid:
        raise click.ClickException(done.stderr or sample.trouble or f"{sample.errors} errors")


def report(recording: Path, children: str) -> list[str]:
    """The lines of perf's report, the heaviest symbol first."""
    command = [
        *("perf", "report", "--stdio", children, "--sort", "symbol", "--call-graph", "none"),
        *("--input", str(recording)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return shares(done.stdout.splitlines())


def shares(lines: Sequence[str]) -> list[str]:
    """Leave out of perf's report its comments, and what it says of instructions per cycle."""
    kept = (line.rstrip() for line in lines if "%" in line and not line.startswith("#"))
    return [line.removesuffix("-").rstrip().removesuffix("-").rstrip() for line in kept]


if __name__ == "__main__":
    sys.exit(main())
