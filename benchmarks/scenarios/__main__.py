"""`python -m benchmarks.scenarios`: play the bad days and tell what a client would notice."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from http.client import HTTPException
from pathlib import Path

import click

from benchmarks import machine, packages, report
from benchmarks.__main__ import GENERATORS, RESULTS, chosen_servers
from benchmarks.comparison import TROUBLES
from benchmarks.rig import Rig, Settings
from benchmarks.scenarios.idle import IdleCrowd
from benchmarks.scenarios.killed_worker import KilledWorker
from benchmarks.scenarios.memory import BulkBody, download, upload
from benchmarks.scenarios.reload import ReloadUnderLoad
from benchmarks.scenarios.scenario import Outcome, Scenario
from benchmarks.scenarios.upstream_restart import UpstreamRestart
from benchmarks.scenarios.websockets import HeldWebSockets
from benchmarks.servers.server import Server

SCENARIOS: tuple[Scenario, ...] = (
    IdleCrowd(),
    ReloadUnderLoad(),
    KilledWorker(),
    UpstreamRestart(),
    HeldWebSockets(),
    BulkBody("download", "2 GB to a slow reader that stalls for a while", download),
    BulkBody("upload", "2 GB from a slow writer that stalls for a while", upload),
)

Played = tuple[Scenario, Server, Outcome]


@click.command(help=__doc__)
@click.option("--scenarios", default="", help=f"Some of: {','.join(s.key for s in SCENARIOS)}.")
@click.option("--servers", default="nginx,pyproxy", help="Names with commas: nginx, pyproxy.")
@click.option("--tree", multiple=True, help="NAME=FOLDER: pyproxy of another checkout, beside.")
@click.option("--python", multiple=True, help="NAME=PROGRAM: pyproxy under another interpreter.")
@click.option("--websockets", type=click.IntRange(1), default=500, help="How many are held.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder to write.")
def main(
    *,
    scenarios: str,
    servers: str,
    tree: tuple[str, ...],
    python: tuple[str, ...],
    websockets: int,
    out: Path,
) -> None:
    try:
        wanted = [
            HeldWebSockets(websockets) if isinstance(scenario, HeldWebSockets) else scenario
            for scenario in chosen(scenarios)
        ]
        programs = chosen_servers(servers, tree, python)
        if absent := packages.missing(GENERATORS):
            packages.install(absent)
    except (ValueError, packages.MissingProgramsError) as error:
        raise click.ClickException(str(error)) from error
    about = machine.describe()
    played = play(wanted, programs)
    out.mkdir(parents=True, exist_ok=True)
    (out / "scenarios.json").write_text(json.dumps(as_json(about, played), indent=2) + "\n")
    (out / "scenarios.md").write_text(f"# Scenarios\n\n{table(played)}\n")
    print(table(played))
    print("\nwritten:", out / "scenarios.json", out / "scenarios.md")
    sys.exit(0 if all(outcome.passed for _, _, outcome in played) else 1)


def chosen(keys: str) -> tuple[Scenario, ...]:
    """The scenarios named in a list with commas; all for an empty list.

    Raises:
        ValueError: a name is none of a scenario.
    """
    names = [name.strip() for name in keys.split(",") if name.strip()]
    known = [scenario.key for scenario in SCENARIOS]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(scenario for scenario in SCENARIOS if not names or scenario.key in names)


def play(scenarios: Sequence[Scenario], servers: Sequence[Server]) -> list[Played]:
    """Play every scenario on every server, telling on standard error how it goes."""
    played = []
    with Rig(Settings()) as rig:
        for scenario in scenarios:
            for server in servers:
                outcome = play_one(rig, scenario, server)
                print(f"{scenario.title}, {server.name}: {words(outcome)}", file=sys.stderr)
                played.append((scenario, server, outcome))
    return played


def play_one(rig: Rig, scenario: Scenario, server: Server) -> Outcome:
    """Play one scenario on one server; what goes wrong is an outcome too."""
    try:
        return scenario.play(rig, server)
    except (*TROUBLES, HTTPException, ValueError) as error:
        return Outcome(passed=False, figures={}, trouble=f"{type(error).__name__}: {error}")


def words(outcome: Outcome) -> str:
    """The figures of an outcome in one line."""
    figures = ", ".join(f"{name} {round(value, 1):,}" for name, value in outcome.figures.items())
    return outcome.trouble or figures


def table(played: Sequence[Played]) -> str:
    """One line for each scenario and server."""
    lines = [
        [scenario.title, server.name, "yes" if outcome.passed else "NO", words(outcome)]
        for scenario, server, outcome in played
    ]
    return report.markdown(["scenario", "server", "as promised", "figures"], lines)


def as_json(about: dict[str, str], played: Sequence[Played]) -> dict[str, object]:
    """The outcomes with the machine they come from."""
    return {
        "machine": about,
        "outcomes": [
            {"scenario": scenario.key, "server": server.name, **asdict(outcome)}
            for scenario, server, outcome in played
        ],
    }


if __name__ == "__main__":
    main()
