"""Names and passwords, from `pyproxy hash-password` to the upstream, and what guessing comes to."""

import base64
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.clients.asking import Answer, Client, ask
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import (
    PATIENCE,
    TREE,
    RunningProxy,
    StartProxy,
    eventually,
    run_command,
)
from tests.journeys.upstreams.server import Upstream, Upstreams
from tests.policy.hashes import quick_hash

SECRET = "correct horse"
BCRYPT = "$2b$12$u2ZReVBFff7XEbHrwGtQ9.Ak8yJ3dWKUqIemLDsxPcFndqh5ynLjO"


def config(upstream: Upstream, auth: str, more: str = "") -> str:
    return f"""
log: {{access: {{format: json}}}}
sites:
  - hosts: [localhost]
    redirect_http: off
    routes:
      - {{path: /staff/, proxy: "{upstream.url}", basic_auth: {{{auth}}}{more}}}
      - {{path: /, proxy: "{upstream.url}"}}
"""


def alice(password: str = SECRET) -> str:
    return f"realm: Staff, users: {{alice: '{quick_hash(password)}'}}"


def basic(name: str, password: str) -> dict[str, str]:
    word = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def assert_challenged(answer: Answer) -> None:
    assert answer.status == 401
    assert answer.get("www-authenticate") == 'Basic realm="Staff", charset="UTF-8"'
    assert answer.get("cache-control") == "no-store"


def access_log(proxy: RunningProxy, count: int) -> list[dict[str, object]]:
    """The access log, once it has that many lines."""

    def look() -> list[str]:
        lines = proxy.output().splitlines()
        return lines if len(lines) >= count else []

    return [json.loads(line) for line in eventually(look)]


@pytest.mark.parametrize("algorithm", ["argon2", "bcrypt"])
def test_from_the_hash_to_the_upstream(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path, algorithm: str
) -> None:
    made = run_hash_password(SECRET, algorithm)
    upstream = upstreams()
    proxy = start_proxy(config(upstream, f"realm: Staff, users: {{alice: '{made}'}}"), tmp_path)
    assert_challenged(ask(proxy.http_port, "/staff/"))
    assert_challenged(ask(proxy.http_port, "/staff/", fields=basic("alice", "wrong")))
    assert_challenged(ask(proxy.http_port, "/staff/", fields=basic("nobody", SECRET)))
    assert upstream.requests == []
    for _ in range(2):  # checked, then remembered
        answer = ask(proxy.http_port, "/staff/", fields=basic("alice", SECRET))
        assert answer.status == 200
        assert answer.seen().all("authorization") == []
        assert answer.seen().get("x-forwarded-user") == "alice"
    done = curl(proxy, "/staff/", "-u", f"alice:{SECRET}")
    assert (done.code, json.loads(done.body)["target"]) == (0, "/staff/")
    users = [line.get("user") for line in access_log(proxy, 6)]
    assert users[:3] == [None, None, None]
    assert users[3:] == ["alice", "alice", "alice"]
    assert_nothing_secret(proxy, SECRET, made, basic("alice", SECRET)["Authorization"])


def run_hash_password(password: str, algorithm: str) -> str:
    """What the command prints for a password that is piped into it."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "hash-password", "--algorithm", algorithm],
        cwd=TREE,
        input=f"{password}\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout.removesuffix("\n")


def assert_nothing_secret(proxy: RunningProxy, *secrets: str) -> None:
    told = proxy.log() + proxy.output()
    for secret in secrets:
        assert secret.removeprefix("Basic ") not in told


def test_a_body_waits_for_the_password_and_arrives_whole(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, f"realm: Staff, users: {{alice: '{BCRYPT}'}}"), tmp_path)
    body = bytes(range(256)) * 4000
    with Client(proxy.http_port) as client:
        for path in ("/staff/a", "/staff/b"):
            answer = client.ask(path, method="POST", body=body, fields=basic("alice", SECRET))
            assert answer.status == 200
            assert answer.seen().what["body"].encode("latin-1") == body


def test_what_clients_and_trusted_proxies_say_of_the_user_is_not_believed(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    text = f"trusted_proxies: [127.0.0.2]\n{config(upstream, alice())}"
    proxy = start_proxy(text, tmp_path)
    for source in ("127.0.0.1", "127.0.0.2"):
        for name in ("X-Forwarded-User", "x-forwarded-user", "X_Forwarded_User"):
            fields = {name: "root", **basic("alice", SECRET)}
            answer = ask(proxy.http_port, "/staff/", fields=fields, source=source)
            assert answer.seen().get("x-forwarded-user") == "alice"
            assert "root" not in answer.text
    # Where no password is asked for, only the trusted proxy's word goes on.
    answer = ask(proxy.http_port, "/", fields={"X-Forwarded-User": "root"})
    assert answer.seen().all("x-forwarded-user") == []


def test_the_field_of_other_routes_is_the_applications(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, alice()), tmp_path)
    told = basic("alice", SECRET)
    assert (
        ask(proxy.http_port, "/", fields=told).seen().get("authorization") == told["Authorization"]
    )


def test_the_upstreams_own_credentials_are_not_the_clients(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    more = ', request_headers: {Authorization: "Bearer ours"}'
    proxy = start_proxy(config(upstream, alice(), more), tmp_path)
    answer = ask(proxy.http_port, "/staff/", fields=basic("alice", SECRET))
    assert answer.seen().get("authorization") == "Bearer ours"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Basic", "Authorization: Basic ====", "Authorization: Basic YWxpY2U",
        "Authorization: Basic \x80\xff", "Authorization: Bearer x", "Authorization:",
        "Authorization: Basic " + "A" * 8000, "Authorization: Basic YWxpY2UA",
    ],
)  # fmt: skip
def test_credentials_that_nobody_can_read_are_401(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path, line: str
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, alice()), tmp_path)
    with RawClient(proxy, plain=True) as client:
        for method in ("GET", "OPTIONS"):
            answer = client.ask(f"{method} /staff/", line)
            assert answer.status == 401
            assert answer["www-authenticate"] == 'Basic realm="Staff", charset="UTF-8"'
    assert upstream.requests == []
    assert "internal error" not in proxy.log()


@pytest.mark.parametrize("target", ["//staff/", "/%73taff/", "/staff%2Fx", "/staff//x"])
def test_no_spelling_leads_around_the_question(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path, target: str
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, alice()), tmp_path)
    with RawClient(proxy, plain=True) as client:
        assert client.ask(f"GET {target}").status == 401
    assert upstream.requests == []


def test_a_users_file_is_read_anew_by_a_reload(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    users = tmp_path / "htpasswd"
    users.write_text(f"# staff\n\nalice:{quick_hash(SECRET)}\nbob:{quick_hash('b')}\n")
    proxy = start_proxy(config(upstream, "realm: Staff, users_file: htpasswd"), tmp_path)

    def status(name: str, password: str) -> int:
        return ask(proxy.http_port, "/staff/", fields=basic(name, password)).status

    assert (status("alice", SECRET), status("bob", "b")) == (200, 200)
    users.write_text(f"alice:{quick_hash('new')}\n")
    assert (status("alice", SECRET), status("bob", "b")) == (200, 200)
    assert proxy.reload().returncode == 0
    assert (status("alice", SECRET), status("bob", "b"), status("alice", "new")) == (401, 401, 200)
    weak = "$apr1$abcdefgh$0123456789012345678901"
    users.write_text(f"alice:{quick_hash('new')}\nbob:{weak}\n")
    done = proxy.reload()
    assert done.returncode != 0
    assert "line 2" in done.stdout + done.stderr
    assert weak not in done.stdout + done.stderr + proxy.log()
    assert status("alice", "new") == 200  # what was in force still is


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("hunter2", "not a hash"),
        ("$apr1$abcdefgh$0123456789012345678901", "Apache's MD5"),
        ("$argon2d$v=19$m=65536,t=3,p=4$c29tZXNhbHRzYWx0$" + "A" * 43, "argon2d"),
        ("$argon2id$v=19$m=4194304,t=3,p=4$c29tZXNhbHRzYWx0$" + "A" * 43, "m=4194304"),
        ("$2b$20$" + "a" * 53, "cost 20"),
    ],
)
def test_check_refuses_hashes_and_does_not_show_them(
    upstreams: Upstreams, tmp_path: Path, written: str, why: str
) -> None:
    file = tmp_path / "proxy.yaml"
    file.write_text(config(upstreams(), f"users: {{alice: '{written}'}}"))
    done = run_command("check", "--config", str(file), environment={})
    assert done.returncode == 78
    assert why in done.stderr
    assert f"{file}:" in done.stderr
    assert written not in done.stdout + done.stderr


def test_one_page_of_many_requests_costs_one_check(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    """A browser that has the password brings it with all it asks for at once."""
    upstream = upstreams()
    proxy = start_proxy(config(upstream, f"realm: Staff, users: {{alice: '{BCRYPT}'}}"), tmp_path)
    found = at_once(proxy, [("alice", SECRET)] * 30)
    assert Counter(answer.status for answer, _ in found) == {200: 30}


def at_once(proxy: RunningProxy, who: list[tuple[str, str]]) -> list[tuple[Answer, float]]:
    """Ask with all of these at the same time: answers, and the seconds each took."""
    found: list[tuple[Answer, float]] = []
    ready = threading.Barrier(len(who))

    def one(name: str, password: str) -> None:
        with Client(proxy.http_port) as client:
            ready.wait()
            begun = time.monotonic()
            answer = client.ask("/staff/", fields=basic(name, password))
            found.append((answer, time.monotonic() - begun))

    threads = [threading.Thread(target=one, args=each) for each in who]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(who)
    return found


def test_guesses_do_not_keep_others_waiting(
    start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> None:
    upstream = upstreams()
    proxy = start_proxy(config(upstream, f"realm: Staff, users: {{alice: '{BCRYPT}'}}"), tmp_path)
    assert ask(proxy.http_port, "/staff/", fields=basic("alice", SECRET)).status == 200
    over = threading.Event()
    waited: list[float] = []

    def others() -> None:
        with Client(proxy.http_port) as client:
            while not over.is_set():
                begun = time.monotonic()
                assert client.ask("/staff/", fields=basic("alice", SECRET)).status == 200
                waited.append(time.monotonic() - begun)

    thread = threading.Thread(target=others)
    thread.start()
    found = at_once(proxy, [("alice", f"guess {number}") for number in range(40)])
    over.set()
    thread.join()
    statuses = Counter(answer.status for answer, _ in found)
    assert set(statuses) == {401, 429}
    assert statuses[429] >= 8
    assert {answer.get("retry-after") for answer, _ in found if answer.status == 429} == {"2"}
    assert len(waited) > 20
    assert sorted(waited)[len(waited) // 2] < 0.1  # a guess takes 0.2 s and more
