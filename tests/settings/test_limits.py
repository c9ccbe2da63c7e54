import ipaddress

import pytest

from proxy.settings.models import Limits, Rate, RateLimit, RequestKey, Timeouts
from tests.settings.loading import SITE, lines, only, settings


def limit(text: str) -> RateLimit:
    return settings(f"rate_limits: {{login: {text}}}\n{SITE}").rate_limits["login"]


def test_a_rate_limit() -> None:
    found = limit("{rate: 5/minute}")
    assert (found.rate, found.burst, found.delay) == (Rate(5, 60), 0, False)
    assert (found.key, found.status, found.dry_run) == (RequestKey("client_ip"), 429, False)
    assert found.exempt == ()


def test_a_rate_limit_with_everything() -> None:
    found = limit("{rate: 10r/s, burst: 5, delay: on, key: 'header:X-Key', status: 503,"
                  " dry_run: yes, exempt: [10.0.0.0/8, '::1']}")  # fmt: skip
    assert (found.rate, found.burst, found.delay) == (Rate(10, 1), 5, True)
    assert (found.key, found.status) == (RequestKey("header", "X-Key"), 503)
    assert found.dry_run
    assert found.exempt == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert limit("{rate: 1/s, exempt: off}").exempt == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{}", "rate_limits.login.rate: the key `rate` is missing"),
        ("{rate: 5}", "expected a rate such as"),
        ("{rate: 0/s}", "would never let a request through"),
        ("{rate: 5/m, burst: -1}", "at least 0"),
        ("{rate: 5/m, key: ip}", "expected client_ip or host or global or header:NAME or"),
        ("{rate: 5/m, key: headers:X}", 'did you mean "header:X"?'),
        ("{rate: 5/m, key: header}", 'did you mean "header:NAME"?'),
        ("{rate: 5/m, status: 200}", "at least 400"),
        ("{rate: 5/m, nodelay: on}", "unknown key; did you mean `delay`?"),
        ("{rate: 5/m, exempt: [10.0.0.1/8]}", 'did you mean "10.0.0.0/8"?'),
        ("5/minute", "expected a table of keys"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    assert part in only(f"rate_limits: {{login: {text}}}\n{SITE}")


def test_names_of_limits() -> None:
    for name in ("off", "no", "'OFF'"):
        assert "choose another name" in only(f"rate_limits: {{{name}: {{rate: 1/s}}}}\n{SITE}")
    assert "letters, digits" in only(f"rate_limits: {{a b: {{rate: 1/s}}}}\n{SITE}")
    assert settings(f"rate_limits:\n{SITE}").rate_limits == {}


NONE = "no rate limit has this name"
LIMITS = "rate_limits: {login: {rate: 5/m}, api: {rate: 9/s}, bad: {rate: x}}\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [("login", ("login",)), ("[login, api, login]", ("login", "api")), ("off", ())],
)
def test_names_on_a_route(text: str, found: tuple[str, ...]) -> None:
    whole = LIMITS.replace(", bad: {rate: x}", "") + SITE.replace(
        "- {path: /,", f"- {{path: /, rate_limit: {text},"
    )
    assert settings(whole).sites[0].routes[0].rate_limit == found


def test_limits_that_there_are_not() -> None:
    text = LIMITS.replace(", bad: {rate: x}", "") + SITE
    wrong = text.replace("    routes:", "    rate_limit: logn\n    routes:").replace(
        "- {path: /,", "- {path: /, rate_limit: [api, zzz],"
    )
    far = '6:37: sites[0].routes[0].rate_limit[1]: {}, found "zzz"; `rate_limits` has login, api'
    assert lines(wrong) == [
        f'4:17: sites[0].rate_limit: {NONE}, found "logn"; did you mean `login`?',
        far.format(NONE),
    ]


def test_a_name_without_any_limits() -> None:
    told = only(SITE.replace("- {path: /,", "- {path: /, rate_limit: login,"))
    assert told.endswith('found "login"; the file\'s `rate_limits` gives one its rate and its name')


def test_a_limit_has_its_place_in_the_table_of_limits() -> None:
    told = only(SITE.replace("- {path: /,", "- {path: /, rate_limit: {rate: 5/m},"))
    assert "routes[0].rate_limit: expected the name of a rate limit, found a table" in told


def test_a_limit_with_a_mistake_of_its_own_is_told_once() -> None:
    text = LIMITS + SITE.replace("- {path: /,", "- {path: /, rate_limit: bad,")
    (line,) = lines(text)
    assert line.startswith("1:65: rate_limits.bad.rate: expected a rate")


def test_bounds_and_times_have_defaults() -> None:
    assert (Limits().connections, Limits().body, Limits().target) == (10000, 100 << 20, 8192)
    assert (Timeouts().keep_alive, Timeouts().request_header) == (75, 10)
