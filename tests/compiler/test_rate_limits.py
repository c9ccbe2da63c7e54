import pytest

from proxy.compiler.program import compile_program
from proxy.compiler.rate_limits import Nowhere, _key
from proxy.compiler.sources import Sources
from proxy.errors import BadRequestError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Delay
from proxy.routing.program import Program
from proxy.routing.route import Route
from proxy.state.buckets import BucketTable
from tests.compiler.compiling import CERTIFICATES, found, settings
from tests.fakes.exchanges import looked_at


def program(limits: str, routes: str, site: str = "", table: BucketTable | None = None) -> Program:
    text = (
        f"rate_limits: {{{limits}}}\nsites:\n  - hosts: [localhost]\n    routes: [{routes}]\n{site}"
    )
    store = table or BucketTable.create()
    return compile_program(settings(text), Sources(CERTIFICATES, rate_store=store))


def asked(route: Route, address: str = "192.0.2.1", block: bytes = b"") -> str | int | float:
    """What becomes of a request: a word for the log, the delay, or a status."""
    exchange: Exchange = looked_at(address, block)
    try:
        verdict = route.gates[0](exchange)
    except BadRequestError as error:
        return error.status
    return verdict.seconds if isinstance(verdict, Delay) else exchange.limited


def several(
    route: Route, number: int, address: str = "192.0.2.1", block: bytes = b""
) -> list[object]:
    return [asked(route, address, block) for _ in range(number)]


def test_a_limit_as_written() -> None:
    made = program("a: {rate: 5/minute, burst: 1}", "{path: /, rate_limit: a, respond: 204}")
    assert several(found(made, "/"), 3) == ["PASSED", "PASSED", 429]


def test_what_a_limit_may_say() -> None:
    made = program(
        'a: {rate: 1/s, burst: 1, status: 503, exempt: [10.0.0.0/8, "2001:db8::/32"]},'
        "b: {rate: 1/m, burst: 1, delay: on}, c: {rate: 1/h, dry_run: on}",
        "{path: /a, rate_limit: a, respond: 204}, {path: /b, rate_limit: b, respond: 204},"
        "{path: /c, rate_limit: c, respond: 204}, {path: /, respond: 204}",
    )
    assert several(found(made, "/a"), 3) == ["PASSED", "PASSED", 503]
    assert several(found(made, "/a"), 3, "10.1.2.3") == [""] * 3
    assert several(found(made, "/a"), 3, "::ffff:10.1.2.3") == [""] * 3
    assert several(found(made, "/a"), 3, "2001:db8::1") == [""] * 3
    assert several(found(made, "/b"), 3) == ["PASSED", pytest.approx(60.0), 429]
    assert several(found(made, "/c"), 3) == ["PASSED", "REJECTED_DRY_RUN", "REJECTED_DRY_RUN"]
    assert isinstance(found(made, "/").gates[0](looked_at()), Answer), "nothing comes before it"


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("header:X-Key", b"X-Key: a\r\n", b"X-Key: b\r\n"),
        ("cookie:id", b"Cookie: id=a\r\n", b"Cookie: id=b\r\n"),
    ],
)
def test_keys_of_the_request(key: str, one: bytes, other: bytes) -> None:
    made = program(f'a: {{rate: 1/h, key: "{key}"}}', "{path: /, rate_limit: a, respond: 204}")
    route = found(made, "/")
    assert asked(route, "192.0.2.1", one) == "PASSED"
    assert asked(route, "192.0.2.2", one) == 429
    assert asked(route, "192.0.2.1", other) == "PASSED"
    assert several(route, 2, "192.0.2.9") == ["PASSED", 429]


@pytest.mark.parametrize("key", ["host", "global", "'header:Host'"])
def test_keys_that_clients_share(key: str) -> None:
    made = program(f"a: {{rate: 1/h, key: {key}}}", "{path: /, rate_limit: a, respond: 204}")
    assert asked(found(made, "/"), "192.0.2.1") == "PASSED"
    assert asked(found(made, "/"), "192.0.2.2") == 429


def test_a_site_s_limits_are_for_all_of_its_routes_that_say_nothing_else() -> None:
    made = program(
        "a: {rate: 1/h, burst: 1}, b: {rate: 1/h}",
        "{path: /, respond: 204}, {path: /b, rate_limit: b, respond: 204},"
        "{path: /off, rate_limit: off, respond: 204},"
        "{path: /both, rate_limit: [a, b], respond: 204}",
        "    rate_limit: a\n",
    )
    assert several(found(made, "/"), 1) == ["PASSED"]
    assert several(found(made, "/both"), 2) == ["PASSED", 429]
    assert several(found(made, "/"), 1) == [429], "one of its two went to /both"
    assert several(found(made, "/b"), 1, "192.0.2.2") == ["PASSED"]
    assert isinstance(found(made, "/off").gates[0](looked_at()), Answer)


def test_a_reload_leaves_the_buckets_of_a_limit_that_stays() -> None:
    table = BucketTable.create()
    route = "{path: /, rate_limit: a, respond: 204}"
    before = program("a: {rate: 1/h, burst: 1}", route, table=table)
    assert several(found(before, "/"), 3) == ["PASSED", "PASSED", 429]
    same = program("a: {rate: 1/h, burst: 1, status: 503, delay: on}", route, table=table)
    assert asked(found(same, "/")) == 503
    other = program("a: {rate: 1/h, burst: 2}", route, table=table)
    assert asked(found(other, "/")) == "PASSED"


def test_the_name_of_a_field_is_the_same_in_any_case() -> None:
    table = BucketTable.create()
    route = "{path: /, rate_limit: a, respond: 204}"
    for key, said in (("header:X-Key", "PASSED"), ("header:x-key", 429)):
        made = program(f'a: {{rate: 1/h, key: "{key}"}}', route, table=table)
        assert asked(found(made, "/"), block=b"X-Key: a\r\n") == said


def test_a_program_without_a_store_is_only_to_be_looked_at() -> None:
    text = (
        "rate_limits: {a: {rate: 1/h}}\n"
        "sites: [{hosts: [localhost], routes: [{path: /, rate_limit: a, respond: 204}]}]"
    )
    made = compile_program(settings(text), Sources())
    (site,) = made.all_sites()
    (route,) = site.routes.routes
    with pytest.raises(RuntimeError, match="without a store"):
        route.gates[0](looked_at())
    with pytest.raises(RuntimeError):
        Nowhere().meter([]).ask([], 0.0)


def test_routes_share_what_is_remembered_of_addresses() -> None:
    text = "rate_limits: {a: {rate: 1/h, exempt: 10.0.0.0/8}, b: {rate: 2/h}, c: {rate: 3/h}}\n"
    limits = settings(
        text + "sites: [{hosts: [localhost], routes: [{path: /, respond: 204}]}]"
    ).rate_limits
    assert _key(limits["b"]) is _key(limits["c"])
    assert _key(limits["a"]) is not _key(limits["b"])
