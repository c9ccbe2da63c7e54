from pathlib import Path

import pytest

from proxy.compiler.maintenance import compile_maintenance
from proxy.exchange.answer import Answer
from proxy.policy.part import Part
from tests.compiler.scopes import scope_of
from tests.policy.asking import asking, gate_of

CONTENTS = {"/srv/a.html": b"a {status}", "/srv/b.html": b"b {status}"}


def part_of(route: str, site: str = "") -> Part | None:
    return compile_maintenance(scope_of(f"respond: 204\n{route}", site, "", CONTENTS))


def answer_of(part: Part | None, address: str = "192.0.2.1") -> Answer | None:
    assert part is not None
    exchange = asking("/x/")
    exchange.address = address
    answer = gate_of(part)(exchange)
    assert answer is None or isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(
    ("route", "site", "expected"),
    [
        ("", "", False),
        ("", "maintenance: off", False),
        ("", "maintenance: on", True),
        ("maintenance: off", "maintenance: on", False),
        ("maintenance: on", "", True),
        ("", "maintenance: {when: off, retry_after: 10m}", False),
    ],
)
def test_where_it_is_on(route: str, site: str, *, expected: bool) -> None:
    part = part_of(route, site)
    assert (part is not None) is expected
    if part is not None:
        answer = answer_of(part)
        assert answer is not None
        assert answer.head.status == 503
        assert b"Retry-After" not in answer.head.block


def test_all_that_can_be_said_of_it() -> None:
    part = part_of(
        "",
        "maintenance: {when: on, page: a.html, status: 502, retry_after: 10m, "
        "allow: [10.0.0.0/8, '2001:db8::/32']}\nerror_pages: {5xx: b.html}",
    )
    answer = answer_of(part)
    assert answer is not None
    assert answer.body == b"a 502"
    assert b"\r\nRetry-After: 600\r\n" in answer.head.block
    assert answer_of(part, "10.1.2.3") is None
    assert answer_of(part, "2001:db8::1") is None
    assert answer_of(part, "11.1.2.3") is not None
    assert answer_of(part, "") is not None, "a unix socket's peer has no address"


def test_the_error_page_of_the_status_does_where_there_is_no_page() -> None:
    answer = answer_of(part_of("maintenance: on", "error_pages: {5xx: b.html}"))
    assert answer is not None
    assert answer.body == b"b 503"


def test_all_are_let_in() -> None:
    part = part_of("", "maintenance: {when: on, allow: all}")
    assert answer_of(part) is None
    assert answer_of(part, "::1") is None
    assert answer_of(part, "") is None


def test_a_flag_file(tmp_path: Path) -> None:
    on, off = tmp_path / "on", tmp_path / "off"
    on.touch()
    assert answer_of(part_of("", f"maintenance: {{when: '{on}'}}")) is not None
    assert answer_of(part_of("", f"maintenance: {{when: '{off}'}}")) is None


def test_nothing_is_looked_at_when_it_is_compiled(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    part = part_of("", f"maintenance: {{when: '{flag}'}}")
    flag.touch()
    assert answer_of(part) is not None


def test_routes_share_a_flag_file(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    text = f"maintenance: {{when: '{flag}'}}"
    one, other = part_of("", text), part_of(text)
    assert answer_of(one) is None
    flag.touch()
    assert answer_of(other) is None, "it was looked at a moment ago"
