"""Access rules by network: whoever asks, by whatever way, in whatever spelling."""

import itertools
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.journeys.clients.asking import ask
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import StartProxy
from tests.journeys.upstreams.server import Upstream, Upstreams

FORBIDDEN = "/internal/secret"


def config(upstream: Upstream, rules: str, top: str = "") -> str:
    """`/internal/` under the rules, everything else open to all."""
    return f"""
{top}
sites:
  - hosts: [localhost]
    redirect_http: off
    routes:
      - {{path: /internal/, proxy: "{upstream.url}", {rules}}}
      - {{path: /, proxy: "{upstream.url}"}}
"""


def spellings() -> list[str]:
    """Ways to write a path that some server might take for one beneath /internal/."""
    letters = ["%69nternal", "intern%61l", "%69%6e%74%65%72%6E%61%6c", "%2569nternal", "inter%6eal"]
    segments = ["internal", *letters, "internal;x", "internal;x=1", "INTERNAL", "Internal"]
    segments += [
        "internal%3Bx",
        "internal%00",
        "internal%20",
        "internal.",
        "internal%09",
        "%69nterna%6C;",
    ]
    befores = [
        "/", "//", "///", "/./", "/.//", "/%2e/", "/%2E/", "/x/../", "/x/%2e%2e/", "/x/.%2E/",
        "/%2e%2e/", "/../", "/..;/", "/%2F", "/%2f%2F", "/.;/", "/%5C", "/x/..%2f", "/x%2f..%2f",
        "/;/", "/;x/", "/%252e/", "/\\", "\\/", "/\t/", "/x/..%5c", "/%c0%ae/", "/%c0%af",
        "http://localhost/", "https://localhost//", "HTTP://LOCALHOST/x/../", "/?/../", "/#/../",
    ]  # fmt: skip
    afters = [
        "/", "//", "/./", "/%2e/", "%2F", "%2f%2f", "/x/../", "/x/%2e%2e/", "/;/", "/;x=1/", ";/",
        "%5C", "\\", "/%2e%2e/internal/", "/..;/internal/", "%2f..%2finternal%2f", "?/", "#/",
    ]  # fmt: skip
    paired = {
        *(f"{before}internal{after}secret" for before, after in itertools.product(befores, afters)),
        *(f"/{segment}{after}secret" for segment, after in itertools.product(segments, afters)),
        *(f"{before}{segment}/secret" for before, segment in itertools.product(befores, segments)),
    }
    return [
        *sorted(paired),
        "/internal",
        "/internal/",
        "/internal%2F",
        "//internal//",
        "/internal;",
    ]


def readings(target: str) -> set[str]:
    """All paths that a server might take a target for that splits at slashes.

    Whether it decodes or not, merges slashes or not, takes dot segments away before it decodes or
    after that or not at all, takes a backslash for a slash or not. None drops what follows a `;`,
    folds case, decodes twice, or takes an encoded backslash for a slash: for these the paths are
    others, as they are for us.
    """
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    written = _tidied({path, path.replace("\\", "/")})
    return written | _tidied({unquote(one) for one in written})


def _tidied(paths: set[str]) -> set[str]:
    found = paths | {_without_dots(one) for one in paths}
    found |= {re.sub("//+", "/", one) for one in found}
    return found | {_without_dots(one) for one in found}


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)


def is_inside(target: str) -> bool:
    """Tell whether some server might take it for a path beneath /internal/."""
    return any(f"/{path.lstrip('/')}".startswith("/internal/") for path in readings(target))


def test_the_readings_see_what_would_be_wrong() -> None:
    """The judge of the next test, judged."""
    for target in (
        FORBIDDEN, "/%69nternal/x", "//internal//x", "/internal%2Fx", "/x/../internal/",
        "/x/%2e%2e/internal/y", "/x%2f..%2finternal%2fy", "/internal\\x",
    ):  # fmt: skip
        assert is_inside(target), target
    for target in (
        "/",
        "/internal",
        "/internals/x",
        "/%2569nternal/x",
        "/?/internal/",
        "/internal;x/y",
        "/internal%5cx",
    ):
        assert not is_inside(target), target


@pytest.mark.parametrize("strict", [True, False], ids=["deny", "allow"])
def test_no_spelling_leads_around_a_rule(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path, *, strict: bool
) -> None:
    upstream = upstreams()
    rules = "deny: all" if strict else "allow: [192.0.2.0/24]"
    proxy = start_proxy(config(upstream, rules), tmp_path)
    found: dict[str, int] = {}
    for target in spellings():
        with RawClient(proxy, plain=True) as client:
            found[target] = client.ask(f"GET {target}", "Connection: close").status
    assert [target for target in upstream.targets() if is_inside(target)] == []
    assert found[FORBIDDEN] == 403
    for target in (
        "/%69nternal/secret",
        "//internal/secret",
        "/internal%2Fsecret",
        "/internal//secret",
    ):
        assert found[target] == 403, target
    # What is plainly another path is served: it is not by refusing all that nothing gets through.
    assert found["/INTERNAL/secret"] == found["/internal;x/secret"] == 200
    assert set(found.values()) <= {200, 301, 308, 400, 403, 404, 421}, found


def test_every_method_is_kept_out(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, "deny: all"), tmp_path)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "GETX"):
        body = b"data" if method in {"POST", "PUT", "PATCH"} else None
        assert ask(proxy.http_port, FORBIDDEN, method=method, body=body).status == 403, method
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "x" * 24}
    assert ask(proxy.http_port, FORBIDDEN, fields=fields).status == 403
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["x-original-url", "x-rewrite-url", "x-forwarded-uri", "host"])
def test_no_field_leads_around_a_rule(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path, name: str
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, "deny: all"), tmp_path)
    with RawClient(proxy, plain=True) as client:
        if name == "host":
            client.send(b"GET /internal/secret HTTP/1.1\r\nHost: localhost/\r\n\r\n")
            assert client.answer("GET").status == 400
        else:
            assert client.ask("GET /", f"{name}: {FORBIDDEN}").status == 200
            assert FORBIDDEN not in str(upstream.requests[-1].fields)
    assert upstream.targets() in ([], ["/"])


def test_networks_decide_by_who_asks(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    rules = "allow: [127.0.0.0/24, 127.0.1.7], deny: [127.0.0.128/25, 127.0.1.0/24]"
    proxy = start_proxy(config(upstream, rules, "log: {access: {format: json}}"), tmp_path)

    def status(source: str) -> int:
        return ask(proxy.http_port, FORBIDDEN, source=source).status

    for _ in range(2):
        assert [status(f"127.0.0.{last}") for last in (1, 127, 128, 254)] == [200, 200, 403, 403]
        assert [status(f"127.0.1.{last}") for last in (6, 7)] == [403, 200]
        assert status("127.9.9.9") == 403
    refused = ask(proxy.http_port, FORBIDDEN, source="127.9.9.9")
    shown = f"{refused.fields}{refused.text}"
    for told in ("127.0", "allow", "deny", "/24", "127.9"):
        assert told not in shown.lower().replace("access-control-allow", "")
    assert ask(proxy.http_port, "/", source="127.9.9.9").status == 200


def test_only_a_trusted_proxy_says_who_asks(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    rules = "allow: [10.0.0.0/8]"
    proxy = start_proxy(config(upstream, rules, "trusted_proxies: [127.0.0.2]"), tmp_path)

    def status(source: str, told: str) -> int:
        fields = {"X-Forwarded-For": told} if told else {}
        return ask(proxy.http_port, FORBIDDEN, source=source, fields=fields).status

    assert status("127.0.0.2", "10.1.2.3") == 200
    assert status("127.0.0.2", "::ffff:10.1.2.3") == 200
    assert status("127.0.0.2", "192.0.2.1") == 403
    assert (
        status("127.0.0.2", "10.1.2.3, 192.0.2.1") == 403
    )  # the client's own word, then its address
    assert status("127.0.0.2", "") == 403
    for field in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "Client-IP"):
        told = "for=10.1.2.3" if field == "Forwarded" else "10.1.2.3"
        assert (
            ask(proxy.http_port, FORBIDDEN, source="127.0.0.3", fields={field: told}).status == 403
        )


def test_a_reload_changes_the_rules_on_connections_that_are_open(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, "allow: 127.0.0.1"), tmp_path)
    with RawClient(proxy, plain=True) as client:
        assert client.ask(f"GET {FORBIDDEN}").status == 200
        assert proxy.reload(config(upstream, "deny: 127.0.0.1")).returncode == 0
        assert client.ask(f"GET {FORBIDDEN}").status == 403


def test_the_page_is_the_configurations_own(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, "deny: all"), tmp_path)
    answer = ask(proxy.http_port, FORBIDDEN, fields={"Accept": "application/json"})
    assert json.loads(answer.text)["status"] == 403
    assert set(json.loads(answer.text)) == {"status", "title", "request_id"}
    assert answer.get("cache-control") == "no-store"
