"""`python -m benchmarks.hotspots`: where a server spends its time in one row.

Two views of the same seconds: `perf` sees C and the kernel, function by function (it needs
linux-perf and the right to use it); a sampler inside pyproxy's processes (sampled.py) sees its
Python functions. Both cost time themselves, so read shares here and never figures.
"""

import json
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
from benchmarks.stage import Part
from benchmarks.websocket_work import Echoes
from benchmarks.work import Handshakes, Http2Requests, Refusals, Requests

SHORT = Requests | Http2Requests | Handshakes | Refusals | Echoes
KEYS = [row.key for row in ROWS if isinstance(row.work, SHORT)]
SAMPLED = Path(__file__).parent / "sampled.py"


class Sampled(PyProxy):
    """pyproxy with a sampler in its processes, which leave their counts beside its logs."""

    counts: Path

    def prepare(self, part: Part) -> list[str]:
        """The same configuration, started through sampled.py."""
        python, _module, _proxy, *words = super().prepare(part)
        self.counts = part.folder / "samples"
        return [python, str(SAMPLED), str(self.counts), *words]


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
        server_seen = sampled(wanted)
        record(rig, chosen(row)[0], server_seen, recording)
        print("by perf: time in the function itself", *report(recording)[:lines], sep="\n")
        if isinstance(server_seen, Sampled):
            for title, found in python_shares(server_seen.counts).items():
                print(f"\n{title}", *found[:lines], sep="\n")


def sampled(server: Server) -> Server:
    """The server, with a sampler in it if it is pyproxy."""
    if isinstance(server, PyProxy):
        return Sampled(server.name, server.tree, server.python)
    return server


def record(rig: Rig, row: Row, server: Server, recording: Path) -> None:
    """Put the server to the row's work and record its processes meanwhile.

    Raises:
        ClickException: perf failed.
    """
    row.work.prepare(rig, server)
    seconds = rig.settings.seconds
    pids = ",".join(str(pid) for pid in rig.shared(server, row.work.options).pids())
    command = [
        *("perf", "record", "--freq", "1999", "--pid", pids),
        *("--output", str(recording), "--", "sleep", str(max(1, seconds - 1))),
    ]
    with ThreadPoolExecutor() as threads:
        load = threads.submit(row.work.sample, rig, server)
        pause(0.5)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        sample = load.result()
    if done.returncode:
        raise click.ClickException(done.stderr)
    if not sample.valid:
        raise click.ClickException(sample.trouble or f"{sample.errors} errors under load")


def report(recording: Path) -> list[str]:
    """The lines of perf's report, the heaviest symbol first."""
    command = [
        *("perf", "report", "--stdio", "--no-children", "--sort", "symbol"),
        *("--input", str(recording)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return shares(done.stdout.splitlines())


def python_shares(prefix: Path) -> dict[str, list[str]]:
    """What the busiest of the sampled processes did, heaviest first; empty without samples."""
    files = prefix.parent.glob(f"{prefix.name}.*")
    counts = [json.loads(text) for file in files if (text := file.read_text())]
    if not counts:
        return {}
    busiest = max(counts, key=lambda count: int(count["samples"]))
    titles = {
        "own": "by the sampler: time in the Python function itself and the C it calls",
        "whole": "by the sampler: time in the Python function and all that it calls",
    }
    return {title: ranked(busiest[key], busiest["samples"]) for key, title in titles.items()}


def ranked(counts: Mapping[str, int], samples: int) -> list[str]:
    """Functions with their share of all samples in per cent, the heaviest first.

    Those in every sample are left out: they are the way from the program's start to its loop.
    """
    told = (name for name in counts if counts[name] < samples)
    order = sorted(told, key=lambda name: (-counts[name], name))
    return [f"{100 * counts[name] / samples:9.2f}%  {name}" for name in order]


def shares(lines: Sequence[str]) -> list[str]:
    """Leave out of perf's report its comments, and what it says of instructions per cycle."""
    kept = (line.rstrip() for line in lines if "%" in line and not line.startswith("#"))
    return [line.removesuffix("-").rstrip().removesuffix("-").rstrip() for line in kept]


if __name__ == "__main__":
    sys.exit(main())
