from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.load import Asked, Kind, Load, LoadError, Target
from benchmarks.rig import Rig, Settings
from benchmarks.servers.nginx import Nginx
from benchmarks.stage import Options

WRK = """\
Running 2s test @ https://localhost:18443/small
  1 threads and 32 connections
  Socket errors: connect 1, read 2, write 3, timeout 4
RESULT requests=73942 duration_us=2000000 bytes=11312806 connect=1 read=2 write=3 timeout=4 \
status=5 p50_us=436 p99_us=995 max_us=6574
"""

H2LOAD = """\
finished in 529.87ms, 3774.48 req/s, 0B/s
requests: 2000 total, 2000 started, 1990 done, {good} succeeded, {failed} failed, {errored} \
errored, {late} timeout
status codes: {two} 2xx, {three} 3xx, {four} 4xx, {five} 5xx
traffic: 0B (0) total, 201.17KB (206000) headers (space savings 0.00%), 11.72KB (12000) data
"""


def h2load(
    *, two: int, three: int = 0, four: int = 0, five: int = 0, errored: int = 0, late: int = 0
) -> Load:
    failed = 2000 - two - three
    text = H2LOAD.format(
        good=two + three,
        failed=failed,
        errored=errored,
        late=late,
        two=two,
        three=three,
        four=four,
        five=five,
    )
    return load.parse_h2load(text)


def test_wrk_tells_requests_latency_and_every_kind_of_error() -> None:
    result = load.parse_wrk(WRK)
    assert result == Load(
        73942,
        2.0,
        bad_answers=5,
        broken=6,
        late=4,
        p50_ms=0.436,
        p99_ms=0.995,
        received=11312806,
    )
    assert result.errors == 15
    assert result.rate == 36971


def test_wrk_without_a_result_is_an_error() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        load.parse_wrk("unable to connect to localhost:1 Connection refused\n")


def test_h2load_without_a_failure() -> None:
    result = h2load(two=1999, three=1)
    assert (result.requests, result.errors) == (2000, 0)
    assert result.seconds == pytest.approx(0.52987)


def test_h2load_counts_each_failure_once() -> None:
    result = h2load(two=1900, four=10, five=20, errored=70, late=50)
    assert (result.requests, result.bad_answers, result.broken, result.late) == (1930, 30, 20, 50)
    assert result.errors == 100


def test_an_answer_cut_short_is_broken_though_its_status_was_good() -> None:
    text = H2LOAD.format(good=1995, failed=5, errored=5, late=0, two=2000, three=0, four=0, five=0)
    assert load.parse_h2load(text).broken == 5


def test_an_answer_that_a_timed_run_cut_off_is_no_request_and_no_error() -> None:
    text = """\
finished in 1.00s, 153.00 req/s, 153.71MB/s
requests: 153 total, 169 started, 153 done, 153 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 163 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 153.71MB (161175233) total, 59.06KB (60473) headers (space savings 15.10%), 153.56MB
"""
    result = load.parse_h2load(text)
    assert (result.requests, result.errors, result.received) == (153, 0, 161175233)


def test_addresses_never_repeat(tmp_path: Path) -> None:
    target = Target(443, "/small", frozenset({1}))
    lines: list[str] = []
    for name in ("one", "two"):
        load.write_uris(target, tmp_path / name, 10)
        lines += (tmp_path / name).read_text().splitlines()
    assert len(set(lines)) == 20
    assert all(line.startswith("https://localhost:443/small/") for line in lines)


def test_http_2_has_no_connection_header_and_crumbs_only_where_wanted() -> None:
    plain = load.http2_headers(cookies=False)
    assert not any(word.startswith(("Connection", "Cookie", "Referer")) for word in plain)
    first, second = (load.http2_headers(cookies=True) for _ in range(2))
    assert len([word for word in first if word.startswith("Cookie: ")]) == 2
    assert first[: len(plain)] == plain
    assert first != second


@pytest.mark.needs("nginx", "h2load", "taskset")
def test_http_2_is_what_is_spoken() -> None:
    with Rig(Settings()) as rig:
        uris = rig.stage.folder / "uris"
        target = rig.target(rig.shared(Nginx(), Options(http2=True)))
        load.write_uris(target, uris, 1000)
        done = load.http2(target, seconds=1, connections=2, streams=2, uris=uris)
        assert done.errors == 0
        assert done.requests
        log = rig.shared(Nginx(), Options(http2=True)).output.with_name("access.log").read_text()
        asked = [line.split('"')[1] for line in log.splitlines() if "/small/" in line]
        assert len(asked) >= done.requests
        assert len(set(asked)) >= min(len(asked), 1000) / 2
        assert all(line.endswith(" HTTP/2.0") for line in asked)


@pytest.mark.needs("nginx", "h2load", "taskset")
def test_http_2_is_not_silently_http_1() -> None:
    with Rig(Settings()) as rig, pytest.raises(LoadError):
        load.http2(rig.target(rig.shared(Nginx())), seconds=1, connections=1, streams=1)


def test_h2load_without_a_summary_is_an_error() -> None:
    with pytest.raises(LoadError):
        load.parse_h2load("spawning thread #0\n")


def test_latencies_of_the_beginning_are_left_out() -> None:
    text = "1000000\t200\t900\n1400000\t200\t800\n1500000\t200\t70\n2000000\t200\t60\n"
    assert load.parse_h2load_log(text, skip_us=500_000) == [70, 60]
    assert load.parse_h2load_log("", skip_us=500_000) == []


def test_percentiles_are_milliseconds() -> None:
    p50, p99 = load.percentiles([1000] * 980 + [9000] * 20)
    assert (p50, p99) == (1.0, 9.0)


def test_too_few_latencies_tell_nothing() -> None:
    assert load.percentiles([5] * 99) == (0.0, 0.0)


def test_a_load_of_nothing_has_no_rate() -> None:
    assert Load(0, 0.0).rate == 0


def test_every_run_of_wrk_has_a_word_of_its_own() -> None:
    target = Target(443, "/small", frozenset({1}))
    asked = Asked(Kind.PATHS)
    first, second = (
        load.wrk_command(target, seconds=2, connections=32, asked=asked) for _ in range(2)
    )
    assert "paths" in first
    assert first != second


def test_a_client_of_one_coding_names_no_other() -> None:
    command = load.wrk_command(
        Target(443, "/", frozenset({1})), seconds=1, connections=1, asked=Asked(coding="gzip")
    )
    codings = [word for word in command if word.startswith("Accept-Encoding")]
    assert codings == ["Accept-Encoding: gzip"]
    assert len([word for word in command if ": " in word]) == 11


def test_a_browser_sends_eleven_headers() -> None:
    command = load.wrk_command(Target(443, "/", frozenset({1})), seconds=1, connections=1)
    sent = [word for word in command if ": " in word]
    assert len(sent) == 11
    assert sent[0] == "Host: localhost"


def test_h2load_gets_the_same_headers_but_for_connection() -> None:
    options = load.h2load_headers(connection="close")
    headers = options[1::2]
    assert set(options[::2]) == {"--header"}
    assert len(headers) == len(load.BROWSER_HEADERS)
    assert "Connection: close" in headers
    assert "Connection: keep-alive" not in headers


def test_a_generator_that_fails_tells_why(tmp_path: Path) -> None:
    target = Target(1, "/", frozenset({0}))
    with pytest.raises(LoadError, match="No such file"):
        load.run(["ls", str(tmp_path / "absent")], target)
