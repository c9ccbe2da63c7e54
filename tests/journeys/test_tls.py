"""TLS as clients meet it: versions, ciphers, names, certificates, sessions, and what goes wrong."""

import contextlib
import json
import re
import socket
import ssl
import stat
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.journeys.clients.asking import PATIENCE, Client, ask, trusting
from tests.journeys.running import RunningProxy, StartProxy, eventually, run_command

openssl = pytest.mark.needs("openssl")
curl = pytest.mark.needs("curl")

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
REFUSED = (
    "AES128-GCM-SHA256",  # static RSA
    "AES256-SHA",
    "ECDHE-RSA-AES128-SHA256",  # CBC
    "ECDHE-ECDSA-AES128-SHA",
    "DHE-RSA-AES128-GCM-SHA256",
)
ROUTES = "routes: [{path: /, respond: {body: hello}}]"


def site(hosts: str, tls: str = "self_signed", more: str = "") -> str:
    return f"  - {{hosts: {hosts}, tls: {tls}, {more}{ROUTES}}}\n"


def config(*sites: str, **top: str) -> str:
    lines = [f"{key}: {value}\n" for key, value in top.items()]
    return "".join([*lines, "sites:\n", *sites])


@dataclass
class Authority:
    """A private CA with an intermediate, and the folder its leaves are written to."""

    folder: Path
    root: trustme.CA
    intermediate: trustme.CA

    @property
    def ca_file(self) -> Path:
        path = self.folder / "ca.pem"
        self.root.cert_pem.write_to_path(str(path))
        return path

    def issue(self, stem: str, *names: str, rsa: bool = False) -> str:
        """Write a certificate and its key; return what goes under `tls` of a site."""
        kind = trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA
        leaf = self.intermediate.issue_cert(*names, key_type=kind)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        (self.folder / f"{stem}.pem").write_bytes(chain)
        (self.folder / f"{stem}.key").write_bytes(leaf.private_key_pem.bytes())
        return f"{{cert: ./{stem}.pem, key: ./{stem}.key}}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    root = trustme.CA()
    return Authority(tmp_path, root, root.create_child_ca())


@pytest.fixture
def proxy(start_proxy: StartProxy, tmp_path: Path) -> RunningProxy:
    """One worker and one site, localhost, with a certificate of the local CA."""
    return start_proxy(config(site("[localhost]")), tmp_path)


def s_client(
    port: int, *words: str, name: str = "localhost", say: str = "Q\n"
) -> subprocess.CompletedProcess[str]:
    """Shake hands as `openssl s_client` does, and leave."""
    sni = ["-servername", name] if name else ["-noservername"]
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *sni, *words],
        input=say,
        capture_output=True,
        text=True,
        errors="replace",  # it prints what the server says, text or not
        timeout=PATIENCE,
        check=False,
    )


def leaf_of(port: int, name: str | None) -> bytes:
    """The certificate that a client gets which asks for a name, unverified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        found = sock.getpeercert(binary_form=True)
    assert found is not None
    return found


def names_in(certificate: bytes) -> list[str]:
    return [
        text.removeprefix("DNS:")
        for text in re.findall(
            r"DNS:[^,\s]+",
            subprocess.run(
                ["openssl", "x509", "-inform", "DER", "-noout", "-ext", "subjectAltName"],
                input=certificate,
                capture_output=True,
                check=True,
            ).stdout.decode(),
        )
    ]


def await_log(proxy: RunningProxy, text: str) -> None:
    eventually(lambda: text in proxy.log())


def status(proxy: RunningProxy) -> dict[str, int]:
    done = proxy.command("status", "--json")
    assert done.returncode == 0, done.stderr
    totals: dict[str, int] = json.loads(done.stdout)["totals"]
    return totals


# Versions and ciphers.


@openssl
def test_new_versions_are_spoken_and_old_ones_are_not(proxy: RunningProxy) -> None:
    for option, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        done = s_client(proxy.https_port, option)
        assert f"New, {name}" in done.stdout, done.stdout + done.stderr
    for option in ("-tls1", "-tls1_1"):
        done = s_client(proxy.https_port, option, "-cipher", "ALL:@SECLEVEL=0")
        assert "Cipher is (NONE)" in done.stdout
        assert "alert protocol version" in done.stderr
    eventually(lambda: proxy.log().count("unsupported protocol (TLS 1.1 or older)") == 2)
    eventually(lambda: status(proxy)["handshakes_failed"] == 2)


@openssl
@pytest.mark.parametrize("rsa", [False, True], ids=["ecdsa", "rsa"])
def test_the_six_ciphers_and_no_other(
    start_proxy: StartProxy, tmp_path: Path, authority: Authority, *, rsa: bool
) -> None:
    tls = authority.issue("leaf", "example.com", rsa=rsa)
    proxy = start_proxy(config(site("[example.com]", tls)), tmp_path)
    kind, other = ("RSA", "ECDSA") if rsa else ("ECDSA", "RSA")
    port = proxy.https_port
    accepted = set()
    for cipher in CIPHERS + REFUSED:
        done = s_client(port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0", name="example.com")
        if f"Cipher is {cipher}" in done.stdout:
            accepted.add(cipher)
        else:
            assert "alert handshake failure" in done.stderr, (cipher, done.stderr)
    assert accepted == {cipher for cipher in CIPHERS if f"-{kind}-" in cipher}
    assert not any(f"-{other}-" in cipher for cipher in accepted)
    refused = len(CIPHERS) + len(REFUSED) - len(accepted)
    eventually(lambda: proxy.log().count("no shared cipher") == refused)


@openssl
def test_only_tls_1_3_if_so_configured(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(site("[localhost]"), tls='{min_version: "1.3"}'), tmp_path)
    assert "New, TLSv1.3" in s_client(proxy.https_port).stdout
    assert "alert protocol version" in s_client(proxy.https_port, "-tls1_2").stderr
    assert proxy.reload(config(site("[localhost]"))).returncode == 0
    assert "New, TLSv1.2" in s_client(proxy.https_port, "-tls1_2").stdout


@openssl
def test_nobody_renegotiates(proxy: RunningProxy) -> None:
    done = s_client(proxy.https_port, "-tls1_2", say="R\n")
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr
    assert ask(proxy.https_port, tls=trusting(proxy.ca_file)).text == "hello"


@openssl
def test_alpn_agrees_on_http_2_where_the_client_speaks_it(proxy: RunningProxy) -> None:
    done = s_client(proxy.https_port, "-alpn", "http/1.1,h2")
    assert "ALPN protocol: h2" in done.stdout
    done = s_client(proxy.https_port, "-alpn", "h3,http/1.1")
    assert "ALPN protocol: http/1.1" in done.stdout
    assert "No ALPN negotiated" in s_client(proxy.https_port).stdout


@openssl
def test_http_2_may_be_switched_off(start_proxy: StartProxy, tmp_path: Path) -> None:
    routes = "sites: [{hosts: [localhost], routes: [{path: /, respond: {body: hello}}]}]"
    proxy = start_proxy(f"tls: {{http2: off}}\n{routes}", tmp_path)
    assert "ALPN protocol: http/1.1" in s_client(proxy.https_port, "-alpn", "h2,http/1.1").stdout
    proxy.reload(routes)
    assert "ALPN protocol: h2" in s_client(proxy.https_port, "-alpn", "h2,http/1.1").stdout


# Names and certificates.


@openssl
def test_a_name_picks_its_certificate(
    start_proxy: StartProxy, tmp_path: Path, authority: Authority
) -> None:
    exact = authority.issue("exact", "www.example.com")
    wild = authority.issue("wild", "*.example.com")
    other = authority.issue("other", "example.org", rsa=True)
    proxy = start_proxy(
        config(
            site("[www.example.com]", exact),
            site('["*.example.com"]', wild),
            site("[example.org]", other),
        ),
        tmp_path,
    )
    port = proxy.https_port
    assert names_in(leaf_of(port, "www.example.com")) == ["www.example.com"]
    assert names_in(leaf_of(port, "WWW.EXAMPLE.COM")) == ["www.example.com"]
    assert names_in(leaf_of(port, "api.example.com")) == ["*.example.com"]
    assert names_in(leaf_of(port, "example.org")) == ["example.org"]
    for unknown in ("example.com", "a.b.example.com", "evil.test"):
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            leaf_of(port, unknown)
        told = f"client 127.0.0.1, name {unknown}: no site has the server name '{unknown}'"
        await_log(proxy, f"TLS handshake failed: {told}")
    with pytest.raises(ssl.SSLError):
        leaf_of(port, None)
    eventually(lambda: "the client sent no server name and no site is for that" in proxy.log())


def test_the_default_site_takes_those_who_name_nobody(
    start_proxy: StartProxy, tmp_path: Path, authority: Authority
) -> None:
    tls = authority.issue("leaf", "example.com")
    proxy = start_proxy(config(site("[example.com]", tls, "default: true, ")), tmp_path)
    assert leaf_of(proxy.https_port, None)
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        leaf_of(proxy.https_port, "example.org")


def test_an_address_is_a_name_too(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(site('[localhost, "127.0.0.1"]')), tmp_path)
    answer = ask(proxy.https_port, tls=trusting(proxy.ca_file), name="127.0.0.1")
    assert (answer.status, answer.text) == (200, "hello")


def test_a_host_that_the_handshake_did_not_name_is_misdirected(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(config(site("[localhost]")), tmp_path)
    fields = {"Host": "elsewhere.test"}
    answer = ask(proxy.https_port, tls=trusting(proxy.ca_file), fields=fields)
    assert answer.status == 421


@openssl
def test_the_whole_chain_is_sent_in_order(
    start_proxy: StartProxy, tmp_path: Path, authority: Authority
) -> None:
    tls = authority.issue("leaf", "example.com")
    proxy = start_proxy(config(site("[example.com]", tls)), tmp_path)
    done = s_client(
        proxy.https_port, "-showcerts", "-CAfile", str(authority.ca_file), name="example.com"
    )
    sent = re.findall(r"-----BEGIN.*?END CERTIFICATE-----", done.stdout, re.DOTALL)
    given = (tmp_path / "leaf.pem").read_text()
    assert [each.split() for each in sent] == [
        each.split() for each in re.findall(r"-----BEGIN.*?END CERTIFICATE-----", given, re.DOTALL)
    ]
    assert len(sent) == 2
    assert "Verify return code: 0 (ok)" in done.stdout
    answer = ask(proxy.https_port, tls=trusting(authority.ca_file), name="example.com")
    assert answer.text == "hello"


@curl
def test_curl_trusts_the_local_ca(proxy: RunningProxy) -> None:
    done = subprocess.run(
        ["curl", "-sS", "--cacert", proxy.ca_file, f"https://localhost:{proxy.https_port}/"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "hello"), done.stderr
    for path in proxy.state_dir.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in proxy.state_dir.rglob("key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_local_ca_stays(start_proxy: StartProxy, tmp_path: Path) -> None:
    first = start_proxy(config(site("[localhost]")), tmp_path)
    root, leaf = first.ca_file.read_bytes(), leaf_of(first.https_port, "localhost")
    assert first.stop() == 0
    again = start_proxy(
        config(site("[localhost]"), site('["*.app.test"]')),
        tmp_path / "again",
        environment={"STATE_DIR": str(first.state_dir)},
    )
    assert again.ca_file.read_bytes() == root
    assert leaf_of(again.https_port, "localhost") == leaf
    trusted = trusting(again.ca_file)
    assert ask(again.https_port, tls=trusted, name="a.app.test").text == "hello"


def test_a_new_certificate_comes_with_a_reload(
    start_proxy: StartProxy, tmp_path: Path, authority: Authority
) -> None:
    tls = authority.issue("leaf", "example.com")
    proxy = start_proxy(config(site("[example.com]", tls), workers="2"), tmp_path)
    before = leaf_of(proxy.https_port, "example.com")
    with Client(proxy.https_port, tls=trusting(authority.ca_file), name="example.com") as old:
        assert old.ask().text == "hello"
        authority.issue("leaf", "example.com", rsa=True)
        assert proxy.reload().returncode == 0
        after = {leaf_of(proxy.https_port, "example.com") for _ in range(8)}
        assert len(after) == 1
        assert before not in after
        assert old.ask().text == "hello", "a running connection goes on"
        (tmp_path / "leaf.key").write_text("no key")
        assert proxy.reload().returncode == 78
        assert {leaf_of(proxy.https_port, "example.com") for _ in range(8)} == after


def test_check_says_what_is_wrong_with_a_certificate(tmp_path: Path, authority: Authority) -> None:
    authority.issue("one", "example.com")
    authority.issue("two", "example.com")
    (tmp_path / "broken.pem").write_text("no certificate")
    path = tmp_path / "proxy.yaml"
    for tls, what in (
        ("{cert: ./none.pem, key: ./one.key}", "none.pem"),
        ("{cert: ./one.pem, key: ./none.key}", "none.key"),
        ("{cert: ./one.pem, key: ./two.key}", "key"),
        ("{cert: ./broken.pem, key: ./one.key}", "broken.pem"),
    ):
        path.write_text(f"sites:\n  - hosts: [example.com]\n    tls: {tls}\n    {ROUTES}\n")
        done = run_command("check", "--config", str(path), environment={})
        assert done.returncode == 78, tls
        assert re.search(rf"proxy\.yaml:3:\d+: sites\[0\]\.tls.*{what}", done.stderr), done.stderr
        assert "PRIVATE KEY" not in done.stderr


# What goes wrong in a handshake.


def test_a_handshake_has_its_time(start_proxy: StartProxy, tmp_path: Path) -> None:
    timeouts = "{tls_handshake: 500ms}"
    proxy = start_proxy(config(site("[localhost]"), timeouts=timeouts), tmp_path)
    with socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as slow:
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert slow.recv(1000) == b""
    eventually(lambda: "handshake timed out" in proxy.log())
    assert proxy.log().count("TLS handshake failed") == 1, "a silent port scan is no handshake"


@curl
def test_plain_http_on_the_tls_port_is_told(proxy: RunningProxy) -> None:
    done = subprocess.run(
        ["curl", "-sSi", f"http://127.0.0.1:{proxy.https_port}/x"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    head, body = done.stdout.split("\n\n", 1)
    assert head.startswith("HTTP/1.1 400 ")
    assert "https://" in body
    eventually(lambda: "plain HTTP spoken on the TLS port" in proxy.log())


@pytest.mark.parametrize("rubbish", [b"\x00" * 600, b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff" * 9])
def test_rubbish_is_hung_up_on(proxy: RunningProxy, rubbish: bytes) -> None:
    with socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as sock:
        sock.sendall(rubbish)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1000):
            pass
    eventually(lambda: "TLS handshake failed" in proxy.log())
    assert "Traceback" not in proxy.log()
    assert ask(proxy.https_port, tls=trusting(proxy.ca_file)).text == "hello"


def test_a_name_that_is_not_ascii_is_no_flood(start_proxy: StartProxy, tmp_path: Path) -> None:
    log = "{access: off, error: {to: ./error.log, level: debug}}"
    proxy = start_proxy(config(site("[localhost]"), log=log, user="null"), tmp_path)
    hello = ssl.MemoryBIO()
    name = "a-name-to-be-replaced"
    context = ssl.create_default_context()  # noqa: TID251 - a client as any other
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname=name).do_handshake()
    spoilt = hello.read().replace(name.encode(), b"\xff\x1b[31m".ljust(len(name), b"x"))
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as sock:
            sock.sendall(spoilt)
            assert sock.recv(1000)[:1] == b"\x15", "an alert"
    eventually(lambda: status(proxy)["handshakes_failed"] == 200)
    errors = (tmp_path / "error.log").read_text()
    assert proxy.log() == "", "nothing goes past the error log"
    assert "Traceback" not in errors
    assert "a name that is not text" in errors
    assert "TLS handshake failed: client 127.0.0.1, name -: server name refused" in errors
    assert len(errors.splitlines()) < 150


def test_who_does_not_trust_us_is_logged(proxy: RunningProxy, authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(proxy.https_port, tls=trusting(authority.ca_file))
    eventually(
        lambda: re.search(
            r"client 127\.0\.0\.1, name localhost: client does not trust our certificate",
            proxy.log(),
        )
    )


def test_an_end_is_said_before_it_comes(proxy: RunningProxy) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(proxy.ca_file)
        context.maximum_version = version
        with Client(proxy.https_port, tls=context) as client:
            client.sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            received = b""
            while piece := client.sock.recv(4096):  # would raise without close_notify
                received += piece
        assert received.endswith(b"hello")


def test_a_hello_in_many_pieces(proxy: RunningProxy) -> None:
    context = trusting(proxy.ca_file)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))
            if not done:
                incoming.write(sock.recv(65536))
        tls.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        sock.sendall(outgoing.read())
        answer = b""
        while not answer.endswith(b"hello"):
            incoming.write(sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                answer += tls.read(65536)


# Sessions.


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_go_on_in_every_worker_and_after_a_reload(
    start_proxy: StartProxy, tmp_path: Path, version: str
) -> None:
    proxy = start_proxy(config(site("[localhost]"), workers="4"), tmp_path)
    context = trusting(proxy.ca_file)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    session: ssl.SSLSession | None = None

    def shake_hands() -> bool:
        nonlocal session
        with (
            socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as sock,
        ):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sock.recv(4096)
            session = sock.session
            return bool(sock.session_reused)

    assert not shake_hands()
    assert [shake_hands() for _ in range(24)] == [True] * 24
    assert proxy.reload(config(site("[localhost, other.test]"), workers="4")).returncode == 0
    assert [shake_hands() for _ in range(12)] == [True] * 12
    served = [
        each["figures"]["requests"]
        for each in json.loads(proxy.command("status", "--json").stdout)["workers"]
    ]
    assert sum(count > 0 for count in served) >= 3, f"the workers shared them: {served}"
    eventually(lambda: status(proxy)["handshakes_ok"] == 37)
    assert status(proxy)["handshakes_resumed"] == 36


def test_old_clients_of_the_standard_library(proxy: RunningProxy) -> None:
    context = trusting(proxy.ca_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        ask(proxy.https_port, tls=context)
