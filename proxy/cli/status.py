"""`pyproxy status`."""

import json
from collections.abc import Mapping
from typing import Any

import click

from proxy.cli.exits import fail
from proxy.cli.options import config_option
from proxy.cli.running import asked
from proxy.cli.table import duration, table

Json = Mapping[str, Any]

_HITS = {
    "refused": "requests_limited",
    "delayed": "requests_delayed",
    "dry_run": "limits_dry_run",
}
"""What rate limits do, with the name of its total."""


@click.command(name="status")
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--timeout", default=10.0, show_default=True, metavar="SECONDS", help="How long to wait."
)
def command(config: str, timeout: float, *, as_json: bool) -> None:
    """Show how the running proxy does: workers, connections, upstreams, certificates."""
    answer = asked(config, "status", timeout)
    status = answer.get("status")
    if not answer.get("ok") or not isinstance(status, dict):
        fail(f"pyproxy: {answer.get('why')}")
    click.echo(json.dumps(status, indent=2) if as_json else shown(status))


def shown(status: Json) -> str:
    """Return a status for people."""
    configuration = status["configuration"]
    addresses = ", ".join(
        f"{each['address']} ({'https' if each['tls'] else 'http'})" for each in status["listening"]
    )
    head = (
        f"pid {status['pid']}, up {duration(status['uptime'])}\n"
        f"configuration {configuration['generation']} from {configuration['path']}, "
        f"in force for {duration(configuration['age'])}\n"
        f"listening on {addresses or 'nothing'}"
    )
    blocks = [
        head,
        _workers(status["workers"]),
        _upstreams(status["workers"]),
        _rate_limits(status["workers"], status.get("totals", {})),
        _certificates(status.get("certificates", [])),
    ]
    return "\n\n".join(filter(None, blocks))


def _workers(workers: list[Json]) -> str:
    rows = [("worker", "pid", "state", "up", "configuration", "connections", "requests")]
    for each in workers:
        figures = each["figures"]
        rows.append(
            (
                str(each["slot"]),
                str(each["pid"]),
                each["state"],
                duration(each["uptime"]),
                str(each["generation"]),
                str(figures.get("connections", "?")),
                str(figures.get("requests", "?")),
            )
        )
    return table(rows)


def _upstreams(workers: list[Json]) -> str:
    """Return the servers, each as the worker sees it that likes it least."""
    seen: dict[tuple[str, str, str], list[Json]] = {}
    for worker in workers:
        for name, servers in worker["figures"].get("upstreams", {}).items():
            for each in servers:
                key = name, str(each["server"]), str(each["address"])
                seen.setdefault(key, []).append(each)
    rows = [("upstream", "server", "address", "health", "active", "idle")]
    rows += [
        (
            *key,
            _health(views),
            str(sum(view["active"] for view in views)),
            str(sum(view["idle"] for view in views)),
        )
        for key, views in seen.items()
    ]
    return table(rows) if seen else ""


def _rate_limits(workers: list[Json], totals: Json) -> str:
    """Return what each rate limit did in the workers there are, and all did since the start.

    Limits that did nothing are left out.
    """
    hits: dict[str, dict[str, int]] = {}
    for worker in workers:
        for name, counts in worker["figures"].get("rate_limits", {}).items():
            sums = hits.setdefault(name, dict.fromkeys(_HITS, 0))
            for kind in _HITS:
                sums[kind] += counts[kind]
    rows = [
        (name, *(str(sums[kind]) for kind in _HITS))
        for name, sums in sorted(hits.items())
        if any(sums.values())
    ]
    ever = [totals.get(figure, 0) for figure in _HITS.values()]
    if any(ever):
        rows.append(("(all, since the start)", *map(str, ever)))
    shown = table([("rate limit", "refused", "delayed", "in dry runs"), *rows]) if rows else ""
    put_out = totals.get("buckets_put_out", 0)
    remark = f"rate limits: {put_out} buckets had to make room, so many keys there were"
    return "\n".join(filter(None, (shown, remark if put_out else "")))


def _health(views: list[Json]) -> str:
    if any(view["down"] for view in views):
        return "down"
    return "out after failures" if any(view["out"] for view in views) else "up"


def _certificates(certificates: list[Json]) -> str:
    rows = [("certificate", "until", "days left", "issuer")]
    rows += [
        (
            each["site"] or "(default site)",
            str(each.get("not_after", each.get("error"))),
            str(each.get("days_left", "")),
            str(each.get("issuer", "")),
        )
        for each in certificates
    ]
    return table(rows) if certificates else ""
