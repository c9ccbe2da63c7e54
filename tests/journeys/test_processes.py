"""Supervisor, workers, keeper and commands, as somebody who operates the proxy meets them."""

import http.client
import json
import os
import pwd
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import (
    PATIENCE,
    DidNotStartError,
    RunningProxy,
    StartProxy,
    eventually,
    free_port,
    is_alive,
    run_command,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def says(text: str, **top: str) -> str:
    """A configuration whose one site answers everything with a text."""
    return (
        "\n".join(f"{key}: {value}" for key, value in top.items())
        + f"""
sites:
  - hosts: [localhost]
    tls: self_signed
    routes: [{{path: /, respond: {{status: 200, body: "{text}"}}}}]
"""
    )


def get(proxy: RunningProxy, port: int = 0, path: str = "/") -> str:
    """The answer to a request over a connection of its own, the certificate verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(proxy.ca_file)
    connection = http.client.HTTPSConnection(
        "localhost", port or proxy.https_port, timeout=PATIENCE, context=context
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def status(proxy: RunningProxy) -> dict[str, Any]:
    done = proxy.command("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def worker_pids(proxy: RunningProxy, state: str = "ready") -> list[int]:
    return [each["pid"] for each in status(proxy)["workers"] if each["state"] == state]


# Start and stop.


def test_totals_are_those_of_this_moment(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello", workers="2"), tmp_path)
    for count in range(1, 6):
        get(proxy)
        assert status(proxy)["totals"]["requests"] == count


def test_from_start_to_stop(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello", workers="2"), tmp_path)
    assert get(proxy) == "hello"
    assert proxy.command("health").returncode == 0
    found = status(proxy)
    assert found["pid"] == proxy.pid
    assert [each["slot"] for each in found["workers"]] == [0, 1]
    assert {each["state"] for each in found["workers"]} == {"ready"}
    assert [each["site"] for each in found["certificates"]] == ["localhost"]
    assert sum(each["figures"]["requests"] for each in found["workers"]) == 1
    shown = proxy.command("status")
    assert shown.stdout.startswith(f"pid {proxy.pid}, up ")
    children = proxy.children()
    assert len(children) == 3
    done = proxy.command("stop")
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert proxy.process.wait(PATIENCE) == 0
    assert not any(map(is_alive, children))
    assert not (proxy.state_dir / "control.sock").exists()
    for command in ("health", "status", "reload", "stop"):
        done = proxy.command(command)
        assert done.returncode == 1
        assert "no proxy runs" in done.stderr


def test_the_start_tells_what_one_needs_to_know(start_proxy: StartProxy, tmp_path: Path) -> None:
    log = start_proxy(says("hello"), tmp_path).log()
    assert "listening for https on 127.0.0.1:" in log
    assert "local-ca/root.pem" in log
    assert "serving with 1 worker" in log
    assert "Traceback" not in log


def test_a_taken_port_is_one_sentence(start_proxy: StartProxy, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = f'{{http: null, https: "127.0.0.1:{port}"}}'
        proxy = start_proxy(says("hello", listen=listen), tmp_path, wait=False)
        assert proxy.process.wait(PATIENCE) == 1
    (line,) = [line for line in proxy.log().splitlines() if line.startswith("pyproxy:")]
    assert f"cannot listen on 127.0.0.1:{port}: the port is taken by" in line
    assert f"(pid {os.getpid()})" in line
    assert "Traceback" not in proxy.log()


def test_a_second_proxy_of_the_same_user_does_not_take_half_the_connections(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    first = start_proxy(says("hello"), tmp_path / "first")
    listen = f'{{http: null, https: "127.0.0.1:{first.https_port}"}}'
    second = start_proxy(says("other", listen=listen), tmp_path / "second", wait=False)
    assert second.process.wait(PATIENCE) == 1
    assert "the port is taken by" in second.log()


def test_a_state_folder_serves_one_proxy(start_proxy: StartProxy, tmp_path: Path) -> None:
    first = start_proxy(says("hello"), tmp_path)
    environment = {"STATE_DIR": str(first.state_dir)}
    second = start_proxy(says("other"), tmp_path / "b", environment=environment, wait=False)
    assert second.process.wait(PATIENCE) == 1
    assert "is running already" in second.log()
    assert get(first) == "hello"
    assert first.command("health").returncode == 0


def test_a_wrong_configuration_does_not_start(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello", workerz="3"), tmp_path, wait=False)
    assert proxy.process.wait(PATIENCE) == 78
    assert "unknown key; did you mean `workers`?" in proxy.log()
    assert "Traceback" not in proxy.log()


def test_a_wrong_certificate_does_not_start(start_proxy: StartProxy, tmp_path: Path) -> None:
    config = says("hello").replace("tls: self_signed", "tls: {cert: ./no.pem, key: ./no.key}")
    proxy = start_proxy(config, tmp_path, wait=False)
    assert proxy.process.wait(PATIENCE) == 78
    assert "sites[0].tls" in proxy.log()
    assert "no.pem: No such file" in proxy.log()


def test_check_leaves_no_trace(tmp_path: Path) -> None:
    config = tmp_path / "proxy.yaml"
    config.write_text(says("hello", state_dir="./state"))
    done = run_command("check", "--config", str(config), environment={})
    assert done.returncode == 0, done.stderr
    assert "localhost  /" in done.stdout
    assert "respond 200" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["proxy.yaml"]


# What dies.


def test_a_killed_worker_is_replaced(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello", workers="2"), tmp_path)
    victim, survivor = worker_pids(proxy)
    os.kill(victim, signal.SIGKILL)
    answers = [get(proxy) for _ in range(20)]
    assert answers == ["hello"] * 20, "what queued at the dead worker's socket is served, too"
    eventually(lambda: len(worker_pids(proxy)) == 2)
    after = worker_pids(proxy)
    assert survivor in after
    assert victim not in after
    assert f"worker 0 (pid {victim}) is gone: it was killed by SIGKILL" in proxy.log()
    assert proxy.stop() == 0


def test_a_killed_keeper_is_replaced(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello"), tmp_path)
    workers = set(worker_pids(proxy))
    (keeper,) = eventually(lambda: set(proxy.children()) - workers)
    os.kill(keeper, signal.SIGKILL)
    assert proxy.command("health").returncode == 0, "the question waited for the next keeper"
    assert keeper not in proxy.children()


def test_workers_do_not_outlive_their_supervisor(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello", workers="2"), tmp_path)
    children = proxy.children()
    proxy.process.kill()
    proxy.process.wait()
    eventually(lambda: not any(map(is_alive, children)))
    assert (proxy.state_dir / "control.sock").exists(), "nobody was left to remove it"
    environment = {"STATE_DIR": str(proxy.state_dir)}
    again = start_proxy(says("again"), tmp_path / "again", environment=environment)
    assert get(again) == "again"


# Reload.


def test_a_reload_swaps_the_configuration_inside_the_workers(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(says("one", workers="2"), tmp_path)
    pids = worker_pids(proxy)
    done = proxy.reload(says("two", workers="2"))
    assert done.returncode == 0, done.stderr
    assert [get(proxy) for _ in range(8)] == ["two"] * 8
    assert worker_pids(proxy) == pids
    found = status(proxy)
    assert found["configuration"]["generation"] == 2
    assert {each["generation"] for each in found["workers"]} == {2}


def test_a_wrong_file_changes_nothing(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("one"), tmp_path)
    done = proxy.reload(says("two", workerz="9"))
    assert done.returncode == 78
    assert "unknown key; did you mean `workers`?" in done.stderr
    assert "nothing has changed" in done.stderr
    assert get(proxy) == "one"
    assert "unknown key; did you mean `workers`?" in proxy.log()
    proxy.config.unlink()
    assert proxy.process.poll() is None
    proxy.rewrite(says("three"))
    assert proxy.reload().returncode == 0
    assert get(proxy) == "three"


def test_sighup_reloads(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("one"), tmp_path)
    proxy.rewrite(says("two"))
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: get(proxy) == "two")


def test_a_worker_killed_after_a_reload_comes_back_with_the_new_configuration(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(says("one"), tmp_path)
    assert proxy.reload(says("two")).returncode == 0
    (victim,) = worker_pids(proxy)
    os.kill(victim, signal.SIGKILL)
    assert get(proxy) == "two"


def test_addresses_and_workers_change_without_a_restart(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(says("one"), tmp_path)
    before = worker_pids(proxy)
    added = free_port()
    both = f'{{http: null, https: ["127.0.0.1:{proxy.https_port}", "127.0.0.1:{added}"]}}'
    done = proxy.reload(says("two", listen=both, workers="3"))
    assert done.returncode == 0, done.stderr
    assert get(proxy) == get(proxy, added) == "two"
    after = worker_pids(proxy)
    assert len(after) == 3
    assert not set(before) & set(after)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.http_port))
    only = f'{{http: null, https: "127.0.0.1:{added}"}}'
    done = proxy.reload(says("three", listen=only, workers="1"))
    assert done.returncode == 0, done.stderr
    assert get(proxy, added) == "three"
    eventually(lambda: len(proxy.children()) == 2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.https_port))
    assert proxy.stop() == 0


def test_an_address_that_cannot_be_had_changes_nothing(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(says("one"), tmp_path)
    pids = worker_pids(proxy)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        both = f'{{http: null, https: ["127.0.0.1:{proxy.https_port}", "127.0.0.1:{port}"]}}'
        done = proxy.reload(says("two", listen=both))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: the port is taken by" in done.stderr
    assert get(proxy) == "one"
    assert worker_pids(proxy) == pids


def test_the_state_folder_stays(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("one"), tmp_path)
    proxy.rewrite(says("two", state_dir=str(tmp_path / "elsewhere")))
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: "restart it to change that" in proxy.log())
    assert get(proxy) == "one"


def test_no_request_fails_while_workers_are_replaced(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(says("one", workers="2"), tmp_path)
    answers: list[str] = []
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            try:
                answers.append(get(proxy))
            except OSError as error:
                answers.append(repr(error))

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for number in (3, 2, 3):
            assert proxy.reload(says("one", workers=str(number))).returncode == 0
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert set(answers) == {"one"}
    assert len(answers) > 20


# Signals.


@dataclass
class SlowServer:
    """An upstream that answers when it is allowed to."""

    port: int
    asked: threading.Event
    allowed: threading.Event


@pytest.fixture
def slow_server() -> Iterator[SlowServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SlowServer(listener.getsockname()[1], threading.Event(), threading.Event())

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                server.asked.set()
                server.allowed.wait(PATIENCE)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

        thread = threading.Thread(target=answer)
        thread.start()
        yield server
        server.allowed.set()
        if not server.asked.is_set():
            socket.create_connection(("127.0.0.1", server.port)).close()
        thread.join()


def proxied(server: SlowServer, **top: str) -> str:
    site = says("", **top)
    return site.replace(
        'respond: {status: 200, body: ""}', f'proxy: "http://127.0.0.1:{server.port}"'
    )


def test_a_running_request_is_finished_before_the_end(
    start_proxy: StartProxy, tmp_path: Path, slow_server: SlowServer
) -> None:
    proxy = start_proxy(proxied(slow_server, drain_timeout="30s"), tmp_path)
    answers: list[str] = []
    asker = threading.Thread(target=lambda: answers.append(get(proxy)))
    asker.start()
    assert slow_server.asked.wait(PATIENCE)
    proxy.process.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(proxy.https_port))
    assert proxy.process.poll() is None
    assert proxy.command("health").returncode == 1
    slow_server.allowed.set()
    asker.join()
    assert answers == ["late"]
    assert proxy.process.wait(PATIENCE) == 0


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_means_now(
    start_proxy: StartProxy, tmp_path: Path, slow_server: SlowServer, second: signal.Signals
) -> None:
    proxy = start_proxy(proxied(slow_server, drain_timeout="10m"), tmp_path)
    failures: list[Exception] = []

    def ask() -> None:
        try:
            get(proxy)
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    assert slow_server.asked.wait(PATIENCE)
    proxy.process.send_signal(signal.SIGQUIT)
    eventually(lambda: refuses(proxy.https_port))
    proxy.process.send_signal(second)
    assert proxy.process.wait(PATIENCE) == 0
    asker.join()
    assert len(failures) == 1


def test_logs_are_opened_again(start_proxy: StartProxy, tmp_path: Path) -> None:
    log = "{access: {to: ./access.log}, error: {to: ./error.log}}"
    proxy = start_proxy(says("hello", log=log, user="null"), tmp_path)
    assert get(proxy, path="/before") == "hello"
    access, error = tmp_path / "access.log", tmp_path / "error.log"
    eventually(lambda: "/before" in access.read_text())
    access.rename(tmp_path / "access.log.1")
    error.rename(tmp_path / "error.log.1")
    proxy.process.send_signal(signal.SIGUSR1)
    eventually(lambda: access.exists() and error.exists())
    get(proxy, path="/after")
    eventually(lambda: "/after" in access.read_text() or get(proxy, path="/after") == "")
    assert "/after" not in (tmp_path / "access.log.1").read_text()
    assert proxy.stop() == 0
    assert "SIGTERM: ending" in error.read_text()


# The service manager.


def test_the_service_manager_is_told(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(
        says("one"), tmp_path, environment={"WATCHDOG_USEC": "500000", "WATCHDOG_PID": ""}
    )
    assert f"MAINPID={proxy.pid}" in proxy.notified.messages[-1]
    assert proxy.reload(says("two")).returncode == 0
    eventually(lambda: proxy.notified.has("RELOADING=1"))
    (reloading,) = [each for each in proxy.notified.messages if "RELOADING=1" in each]
    assert "MONOTONIC_USEC=" in reloading
    readies = [each for each in proxy.notified.messages if "READY=1" in each.splitlines()]
    assert len(readies) == 2
    assert proxy.stop() == 0
    assert proxy.notified.has("STOPPING=1")


def test_the_watchdog_is_fed(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("one"), tmp_path, environment={"WATCHDOG_USEC": "200000"})
    eventually(lambda: proxy.notified.has("WATCHDOG=1"))


HANDOVER = """
import os, socket, sys
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": sys.argv[2]}
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_sockets_of_the_service_manager_are_used(start_proxy: StartProxy, tmp_path: Path) -> None:
    port, spare = free_port(), free_port()
    proxy = start_proxy(
        says("hello", workers="2", listen=f'{{http: null, https: "127.0.0.1:{spare}"}}'),
        tmp_path,
        prefix=(sys.executable, "-c", HANDOVER, str(port), "https"),
    )
    assert "(from the service manager)" in proxy.log()
    assert [get(proxy, port) for _ in range(8)] == ["hello"] * 8
    assert refuses(spare), "its name said what it is for, whatever its port"
    victim = worker_pids(proxy)[0]
    os.kill(victim, signal.SIGKILL)
    assert [get(proxy, port) for _ in range(8)] == ["hello"] * 8
    assert proxy.stop() == 0


# Who may do what.


def open_up(path: Path, mode: int) -> None:
    """Let everybody reach a path in pytest's folder, which is root's alone."""
    shared = Path(tempfile.gettempdir())  # whose own mode is not ours to change
    for each in (*reversed(path.parents), path):
        if shared in each.parents:
            each.chmod(mode if each == path else 0o755)


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@as_root
def test_only_the_supervisor_stays_root(start_proxy: StartProxy, tmp_path: Path) -> None:
    open_up(tmp_path, 0o755)
    log = "{access: {to: ./access.log}}"
    proxy = start_proxy(says("hello", user="nobody", log=log), tmp_path)
    nobody = pwd.getpwnam("nobody").pw_uid
    eventually(lambda: [uid_of(pid) for pid in proxy.children()] == [nobody, nobody])
    assert uid_of(proxy.pid) == 0
    access = tmp_path / "access.log"
    assert access.stat().st_uid == nobody
    for secret in ("local-ca/root.key", "self-signed/localhost/key.pem"):
        assert stat.S_IMODE((proxy.state_dir / secret).stat().st_mode) == 0o600
    done = proxy.reload(says("hello", user="daemon", log=log))
    assert done.returncode == 0, done.stderr
    daemon = pwd.getpwnam("daemon").pw_uid
    eventually(lambda: [uid_of(pid) for pid in proxy.children()] == [daemon, daemon])
    assert access.stat().st_uid == daemon
    assert get(proxy) == "hello"


@as_root
def test_root_writes_to_no_file_of_a_workers_choice(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    open_up(tmp_path, 0o755)
    folder, victim, secret = (tmp_path / name for name in ("logs", "victim", "secret"))
    folder.mkdir()
    victim.write_text("untouched")
    secret.write_text("untouched")
    text = says("hello", user="nobody", log="{access: off, error: {to: ./logs/error.log}}")
    proxy = start_proxy(text, tmp_path)
    log = folder / "error.log"
    # As if a worker could do it: the folder has become its own since.
    nobody = pwd.getpwnam("nobody").pw_uid
    for make in (log.symlink_to, log.hardlink_to):
        old = log.rename(folder / f"error.log.{make.__name__}")
        make(victim if make.__name__ == "symlink_to" else secret)
        proxy.process.send_signal(signal.SIGUSR1)
        eventually(lambda: "the old file stays in use" in old.read_text())  # noqa: B023 - in this turn
        log.unlink()
        proxy.process.send_signal(signal.SIGUSR1)
        eventually(lambda: log.exists() and log.stat().st_uid == nobody)
    os.chown(folder, nobody, 0)
    old = log.rename(folder / "error.log.1")
    proxy.process.send_signal(signal.SIGUSR1)
    eventually(lambda: "may change the folder" in old.read_text())
    assert get(proxy) == "hello"
    assert proxy.stop() == 0
    assert "SIGTERM: ending" in old.read_text()
    for each in (victim, secret):
        assert (each.read_text(), each.stat().st_uid) == ("untouched", 0)
    with pytest.raises(DidNotStartError, match=r"user nobody.* may change the folder .*/logs"):
        start_proxy(text, tmp_path)


def test_nobody_else_gives_orders(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(says("hello"), tmp_path)
    control = proxy.state_dir / "control.sock"
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    assert stat.S_IMODE(proxy.state_dir.stat().st_mode) == 0o700


ASK = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.sendall(b'{"command": "stop"}\\n')
print(sock.recv(100))
"""


@as_root
def test_permissions_alone_do_not_make_a_stranger_an_operator(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(says("hello"), tmp_path)
    control = proxy.state_dir / "control.sock"
    open_up(control, 0o777)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(control), str(pwd.getpwnam("nobody").pw_uid)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    # Before it could speak, or after: either way nobody listened to it.
    hung_up = ("Connection reset", "Broken pipe")
    assert done.stdout == "b''\n" or any(word in done.stderr for word in hung_up), done.stderr
    assert get(proxy) == "hello"
