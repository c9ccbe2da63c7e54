import json

from click.testing import CliRunner

from proxy.cli.status import command, shown
from tests.cli.conftest import FakeProxy

STATUS = {
    "pid": 10,
    "uptime": 3725.0,
    "configuration": {"path": "/etc/pyproxy/proxy.yaml", "generation": 3, "age": 61.0},
    "listening": [{"address": "0.0.0.0:443", "tls": True}, {"address": "0.0.0.0:80", "tls": False}],
    "workers": [
        {
            "slot": slot, "pid": 11 + slot, "state": "ready", "generation": 3, "uptime": 12.0,
            "figures": {
                "connections": 5, "requests": 1234,
                "upstreams": {
                    "django": [
                        {"server": "http://app1:8000", "address": "10.0.0.1:8000", "down": False,
                         "out": bool(slot), "active": 2, "idle": 3},
                        {"server": "http://app2:8000", "address": "10.0.0.2:8000", "down": True,
                         "out": False, "active": 0, "idle": 0},
                    ]
                },
            },
        }
        for slot in range(2)
    ],
    "certificates": [
        {"site": "localhost", "issuer": "CN=our CA", "not_after": "2030-01-31T00:00:00+00:00",
         "days_left": 30},
        {"site": "", "error": "damaged"},
    ],
}  # fmt: skip


def cells(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{first} ")]
    return line.split()


def test_a_status_is_shown_for_people() -> None:
    text = shown(STATUS)
    assert text.startswith(
        "pid 10, up 1h 2m\n"
        "configuration 3 from /etc/pyproxy/proxy.yaml, in force for 1m 1s\n"
        "listening on 0.0.0.0:443 (https), 0.0.0.0:80 (http)\n\n"
    )
    assert cells(text, "1") == ["1", "12", "ready", "12s", "3", "5", "1234"]
    assert "http://app1:8000  10.0.0.1:8000  out after failures  4       6" in text
    assert "http://app2:8000  10.0.0.2:8000  down" in text
    assert "2030-01-31T00:00:00+00:00  30" in text
    assert "(default site)  damaged" in text


def test_rate_limits_are_summed_over_the_workers() -> None:
    def worker(refused: int, delayed: int) -> dict[str, object]:
        limits = {
            "login": {"refused": refused, "delayed": delayed, "dry_run": 0},
            "idle": {"refused": 0, "delayed": 0, "dry_run": 0},
        }
        figures = {"connections": 0, "requests": 0, "rate_limits": limits}
        return {**STATUS["workers"][0], "figures": figures}  # type: ignore[index]  # the literal above

    totals = {"requests_limited": 30, "requests_delayed": 4, "limits_dry_run": 5}
    text = shown({**STATUS, "workers": [worker(7, 1), worker(8, 2)], "totals": totals})
    assert "rate limit" in text
    assert cells(text, "login") == ["login", "15", "3", "0"]
    assert cells(text, "(all,")[-3:] == ["30", "4", "5"]
    assert "idle" not in text
    assert "make room" not in text
    crowded = shown({**STATUS, "workers": [], "totals": {"buckets_put_out": 12}})
    assert "rate limits: 12 buckets had to make room, so many keys there were" in crowded
    assert "rate limit" not in shown({**STATUS, "workers": [worker(0, 0)], "totals": {}})


def test_a_worker_that_did_not_answer_is_shown_without_figures() -> None:
    silent = {**STATUS, "workers": [{**STATUS["workers"][0], "figures": {}}], "certificates": []}  # type: ignore[index]  # the literal above
    text = shown(silent)
    assert cells(text, "0")[-2:] == ["?", "?"]
    assert "upstream" not in text
    assert "certificate" not in text


def test_nothing_that_a_worker_says_disturbs_the_terminal(running: FakeProxy) -> None:
    said = {
        "server": "http://a\x1b[2J\nforged  row", "address": "\x9b31m", "down": False, "out": False,
        "active": 0, "idle": 0,
    }  # fmt: skip
    figures = {"connections": "\x1b[2J", "requests": 1, "upstreams": {"\u202eognajd": [said]}}
    worker = {**STATUS["workers"][0], "figures": figures}  # type: ignore[index]  # the literal above
    forged = {**STATUS, "workers": [worker]}
    running.answer = {"ok": True, "status": forged}
    for words in ([], ["--json"]):
        done = CliRunner().invoke(command, [*words, "-c", str(running.config)])
        assert done.exit_code == 0
        assert done.output.replace("\n", "").isprintable()
        assert "\nforged" not in done.output
    assert r"http://a\x1B[2J\x0Aforged  row" in shown(forged)


def test_programs_get_json(running: FakeProxy) -> None:
    running.answer = {"ok": True, "status": STATUS}
    done = CliRunner().invoke(command, ["--json", "-c", str(running.config)])
    assert json.loads(done.output) == STATUS
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert done.output == shown(STATUS) + "\n"
    running.answer = {"ok": False, "why": "the proxy is ending"}
    assert CliRunner().invoke(command, ["-c", str(running.config)]).exit_code == 1
