"""That one mistake hides no other, and that none is told twice or made up."""

import yaml
from hypothesis import given, strategies as st

from proxy.settings.check import MOST_PROBLEMS
from tests.settings.loading import SITE, lines, problems

MANY = """\
listen: {http: 80:30, https: ":443"}
worker: 4
user: ${NOPE}
timeouts: {tls_handshake: 10 sec, keepalive: 3}
rate_limits: {a: {rate: never}}
upstreams:
  django: {servers: [app1:8000]}
  api: {servers: [http://x:1], tls: {verify: off}}
sites:
  - hosts: [localhost, "*.*.x"]
    routes:
      - {path: /api/, upstrem: django}
      - {path: /x, proxy: djnago}
      - {path: /x, proxy: api}
      - {path: /y/, files: [/srv]}
      - {path: /z, redirect: {to: /k, status: 305}, proxy: django}
      - {path: /last, proxy: django}
  - hosts: [localhost]
    routes:
      - {path: /, proxy: apj, response_headers: {Content-Length: 3}}
"""


def test_all_mistakes_at_once() -> None:
    places = [line.split(": ")[1] for line in lines(MANY)]
    assert places == [
        "listen.http",
        "worker",
        "user",
        "timeouts.tls_handshake",
        "timeouts.keepalive",
        "rate_limits.a.rate",
        "upstreams.django.servers[0]",
        "upstreams.api.tls",
        "sites[0].hosts[1]",
        "sites[0].routes[0].upstrem",
        "sites[0].routes[1].proxy",
        "sites[0].routes[2]",
        "sites[0].routes[3].files",
        "sites[0].routes[4].redirect.status",
        "sites[1].hosts[0]",
        "sites[1].routes[0].proxy",
        "sites[1].routes[0].response_headers.Content-Length",
    ]


def test_a_misspelt_handler_is_one_mistake() -> None:
    (line,) = lines("sites:\n  - hosts: [localhost]\n    routes: [{path: /, porxy: 'http://a'}]\n")
    assert line.endswith("unknown key; did you mean `proxy`?")


def test_places_stay_right_behind_what_was_taken_out() -> None:
    text = """\
sites:
  - hosts: [localhost]
    routes:
      - 7
      - {path: /, respond: 204}
      - [no]
      - {path: /, respond: 204}
"""
    first, second, third = lines(text)
    assert first == '4:9: sites[0].routes[0]: expected a table of keys, found "7"'
    assert second == "6:9: sites[0].routes[2]: expected a table of keys, found a list"
    assert third.startswith("7:9: sites[0].routes[3]: ties with sites[0].routes[1]: ")


def test_what_is_missing_is_told_at_the_table_that_misses_it() -> None:
    text = f"upstreams:\n  app:\n    balance: ip_hash\n{SITE}"
    assert lines(text) == ["2:3: upstreams.app.servers: the key `servers` is missing"]


def test_mistakes_beyond_what_anybody_reads_are_counted() -> None:
    text = f"trusted_proxies: [{'x, ' * 1000}]\n{SITE}"
    found = problems(text)
    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1].message == f"{1000 - MOST_PROBLEMS} more mistakes"


def test_unbuilt_features_beyond_that_are_counted_too() -> None:
    site = "  - {{hosts: [h{}.test], tls: acme, routes: [{{path: /, respond: 200}}]}}\n"
    found = problems("sites:\n" + "".join(map(site.format, range(300))))
    assert found[-1].message == "100 more mistakes"


WORDS = (
    "", "off", "on", "x", "/", "/a/", "http://a:1", "unix:/x", "10s", "1KB", "*", "a.b", "é",
    "h2c://x", "acme", "localhost", "GET", "5/m", "cookie:a", "auto", "${TOKEN}", "${GONE}", "$",
)  # fmt: skip
KEYS = (
    "url", "hash", "to", "status", "body", "path", "proxy", "hosts", "routes", "tls", "x", "cert",
    "key", "request", "connect", "respond", "headers", "default", "servers", "preset", "[key]",
    "~word",
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-5, 99999) | st.sampled_from(WORDS)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)
WHOLE = {
    "listen": {"http": ":80", "https": ":443"},
    "workers": 2,
    "trusted_proxies": ["cloudflare"],
    "log": {"access": {"to": "stdout", "format": "json"}},
    "timeouts": {"keep_alive": "75s"},
    "limits": {"body": "1MB"},
    "tls": {"min_version": "1.2", "ciphers": ["ECDHE-RSA-AES128-GCM-SHA256"]},
    "acme": {"email": "a@b.c"},
    "upstreams": {
        "app": {
            "servers": ["http://a:1", {"url": "https://b:2", "weight": 2}],
            "balance": {"hash": "cookie:x"},
            "health_check": {"path": "/"},
            "tls": {"verify": True},
        }
    },
    "headers": {"X-A": "1"},
    "sites": [
        {
            "hosts": ["localhost"],
            "tls": {"cert": "a", "key": "b"},
            "routes": [
                {"path": "/", "proxy": "app", "response_headers": {"X-B": None}},
                {"path": "/x", "methods": ["GET"], "redirect": {"to": "/y"}},
                {"path": "/z", "respond": {"status": 200, "body": "z"}},
            ],
        }
    ],
}


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        found += paths(item, (*path, key))
    return found


def replaced(value: object, path: tuple[str | int, ...], junk: object) -> object:
    if not path:
        return junk
    if isinstance(value, dict):
        return {k: replaced(v, path[1:], junk) if k == path[0] else v for k, v in value.items()}
    assert isinstance(value, list)
    return [replaced(v, path[1:], junk) if k == path[0] else v for k, v in enumerate(value)]


@given(st.lists(st.tuples(st.sampled_from(paths(WHOLE)[1:]), JUNK), min_size=1, max_size=4))
def test_junk_anywhere_is_told_and_never_a_crash(
    junk: list[tuple[tuple[str | int, ...], object]],
) -> None:
    value: object = WHOLE
    for path, one in junk:
        if path in paths(value):
            value = replaced(value, path, one)
    found = problems(yaml.safe_dump(value, sort_keys=False))
    for problem in found:
        assert problem.line > 0
        assert "hunter2" not in str(problem)
    assert len({(one.line, one.col, one.message) for one in found}) == len(found)
