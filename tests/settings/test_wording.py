"""What a message shows of a value, and above all what it does not."""

import pytest

from proxy.settings.document import read_document
from proxy.settings.wording import secret, seen
from tests.settings.loading import SITE, only, problems, route

SECRET = "hunter2-the-secret"


@pytest.mark.parametrize(
    "text",
    [
        "workers: ${TOKEN}",
        'listen: {http: "${TOKEN}"}',
        'listen: {http: "x${TOKEN}"}',
        'trusted_proxies: ["${TOKEN}"]',
        'headers: {X-A: "${TOKEN}é"}',
        'tls: {ciphers: ["${TOKEN}"]}',
        'timeouts: {keep_alive: "${TOKEN}"}',
        'min_rate: "${TOKEN}"',
        'log: {access: {to: "${TOKEN}"}}',
        'log: {access: {format: "${TOKEN}"}}',
        'admin: "${TOKEN}"',
        'shared_state: "redis://:${TOKEN}@host"',
        'upstreams: {a: {servers: ["${TOKEN}"]}}',
        'upstreams: {a: {servers: ["http://${TOKEN}:1/x"]}}',
        'upstreams: {a: {servers: ["http://a:1"], balance: "${TOKEN}"}}',
    ],
)
def test_a_secret_is_in_no_message(text: str) -> None:
    found = problems(f"{text}\n{SITE}")
    assert found
    for problem in found:
        assert SECRET not in str(problem)
        assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    "text",
    [
        '{path: "${TOKEN}", respond: 204}',
        '{path: /, proxy: "${TOKEN}"}',
        '{path: /, proxy: "${TOKEN}:80"}',
        '{path: /, redirect: "${TOKEN}"}',
        '{path: /, methods: ["${TOKEN}"], respond: 204}',
        '{path_regex: "(${TOKEN}", respond: 204}',
        '{path: /, respond: {content_type: "${TOKEN}"}}',
        '{path: /, proxy: app, request_headers: {Authorization: "${TOKEN}\\n"}}',
    ],
)
def test_a_secret_is_in_no_message_about_a_route(text: str) -> None:
    found = problems(route(text))
    assert found
    assert all("hunter2" not in str(problem) for problem in found)


def test_the_variable_is_named_instead() -> None:
    assert only(f"workers: ${{TOKEN}}\n{SITE}").endswith('found "${TOKEN}"')


def test_a_password_typed_into_the_file_is_covered() -> None:
    document = read_document("a: redis://:hunter2@h\npassword: x\nb: y\n", "p", {}, "")
    assert seen(document, ("a",)) == '"redis://:***@h"'
    assert seen(document, ("password",)) == '"***"'
    assert secret(document, ("a",))
    assert secret(document, ("password",))
    assert not secret(document, ("b",))


def test_a_name_that_sounds_like_a_secret_hides_nothing_beneath_it() -> None:
    document = read_document("token: {port: 8}\nsecret: [x]\n", "p", {}, "")
    assert seen(document, ("token", "port")) == '"8"'
    assert seen(document, ("secret", 0)) == '"***"'


def test_what_is_seen() -> None:
    document = read_document("a: 1\nb: [1]\nc: {d: 1}\ne:\nf: ''\ng: " + "x" * 99, "p", {}, "")
    assert [seen(document, (key,)) for key in "abcef"] == [
        '"1"',
        "a list",
        "a table",
        "nothing",
        '""',
    ]
    assert len(seen(document, ("g",))) < 70
    assert seen(document, ("nowhere",)) == "nothing"


def test_unknown_keys_without_a_near_one_list_what_is_allowed() -> None:
    line = only(f"timeouts: {{zzz: 1}}\n{SITE}")
    assert line.endswith(
        "allowed here: tls_handshake, request_header, body_idle, keep_alive, write_idle"
    )


def test_what_is_refused_is_not_offered() -> None:
    line = only(route("{path: /, respond: 204, qqqqq: 1}"))
    assert "respond" in line
    assert "basic_auth" in line
    inner = only(route("{path: /, proxy: app, websocket: {qqqqq: 1}}"))
    assert inner.endswith("allowed here: idle_timeout, ping_interval, max_message")
    assert "acme" not in only("qqqqq: 1\n" + SITE)
