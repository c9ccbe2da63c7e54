"""Handshakes in memory, in both versions; sessions across forks and reloads."""

import os
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from proxy.net import tls_contexts
from proxy.net.tls_contexts import (
    INTERMEDIATE_CIPHERS,
    FrontConnection,
    PreparedTls,
    TlsConfigurationError,
    TlsFront,
    explain,
    load_cert_chain,
    server_context,
)
from proxy.routing.route import TlsPlan, TlsSite
from tests.fakes.tls_memory import End, client_context, pem, shake

V12 = ssl.TLSVersion.TLSv1_2
V13 = ssl.TLSVersion.TLSv1_3
BOTH = pytest.mark.parametrize("version", [V12, V13], ids=["tls12", "tls13"])

CA = trustme.CA()
CA_PEM = CA.cert_pem.bytes().decode("ascii")
A_EC = pem(CA.issue_cert("a.test", "www.a.test"))
A_RSA = pem(CA.issue_cert("a.test", "www.a.test", key_type=trustme.KeyType.RSA))
A_AGAIN = pem(CA.issue_cert("a.test"))
B_EC = pem(CA.issue_cert("b.test", "*.b.test"))
ADDRESS = pem(CA.issue_cert("127.0.0.1", "::1"))


def front_for(*sites: TlsSite, min_version: str = "1.2", alpn: tuple[str, ...] = ()) -> TlsFront:
    front = TlsFront()
    front.swap(PreparedTls(TlsPlan(min_version=min_version, sites=sites), alpn))
    return front


SITE_A = TlsSite(("a.test", "www.a.test"), (A_EC,))
SITE_B = TlsSite(("b.test", "*.b.test"), (B_EC,))
SITE_ADDRESS = TlsSite(("127.0.0.1", "::1"), (ADDRESS,))


@dataclass
class Visit:
    client: ssl.SSLObject
    server: FrontConnection
    client_end: End
    server_end: End

    @property
    def worked(self) -> bool:
        return self.client_end.done and self.server_end.done

    @property
    def client_error(self) -> str:
        assert self.client_end.error is not None
        return str(self.client_end.error.reason)

    @property
    def server_error(self) -> str:
        assert self.server_end.error is not None
        return explain(self.server_end.error)

    def session(self) -> ssl.SSLSession:
        """The session, which TLS 1.3 sends with the first bytes."""
        self.server.write(b"x")
        self.client_end.incoming.write(self.server_end.outgoing.read())
        assert self.client.read(1) == b"x"
        session = self.client.session
        assert session is not None
        return session

    def names(self) -> set[str]:
        certificate = self.client.getpeercert()
        assert certificate is not None
        return {str(entry[1]) for entry in certificate["subjectAltName"]}


def visit(
    front: TlsFront,
    name: str | None,
    context: ssl.SSLContext | None = None,
    session: ssl.SSLSession | None = None,
    address: str = "",
) -> Visit:
    ends = End(), End()
    context = context or client_context()
    client = context.wrap_bio(
        ends[0].incoming, ends[0].outgoing, server_hostname=name, session=session
    )
    server = front.wrap(ends[1].incoming, ends[1].outgoing, address)
    shake(client, ends[0], server, ends[1])
    return Visit(client, server, *ends)


# Policy


@BOTH
def test_a_handshake(version: ssl.TLSVersion) -> None:
    front = front_for(SITE_A, SITE_B, alpn=("http/1.1",))
    done = visit(front, "a.test", client_context(CA, version))
    assert done.worked
    assert done.server.version() == ("TLSv1.2" if version is V12 else "TLSv1.3")
    assert done.server.server_name == "a.test"
    assert done.server.selected_alpn_protocol() == "http/1.1"
    assert done.server.compression() is None
    assert done.names() == {"a.test", "www.a.test"}


def test_tls_1_2_offers_the_six_ciphers_in_order() -> None:
    ciphers = [c["name"] for c in server_context().get_ciphers() if c["protocol"] == "TLSv1.2"]
    assert tuple(ciphers) == INTERMEDIATE_CIPHERS


@pytest.mark.parametrize("cipher", INTERMEDIATE_CIPHERS)
def test_each_of_the_six_ciphers_works(cipher: str) -> None:
    front = front_for(TlsSite(("a.test",), (A_EC, A_RSA)))
    done = visit(front, "a.test", client_context(CA, V12, cipher))
    chosen = done.server.cipher()
    assert chosen is not None
    assert chosen[0] == cipher


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"]
)
def test_static_rsa_cbc_and_finite_field_are_refused(cipher: str) -> None:
    front = front_for(TlsSite(("a.test",), (A_EC, A_RSA)))
    done = visit(front, "a.test", client_context(CA, V12, cipher))
    assert done.server_error == "no shared cipher"


@pytest.mark.parametrize(("ours", "cipher"), [(False, 4), (True, 0)])
def test_whose_order_of_ciphers_counts(ours: bool, cipher: int) -> None:  # noqa: FBT001 - a table
    front = TlsFront()
    front.swap(PreparedTls(TlsPlan(sites=(SITE_A,)), prefer_server_ciphers=ours))
    backwards = ":".join(reversed(INTERMEDIATE_CIPHERS))
    done = visit(front, "a.test", client_context(CA, V12, backwards))
    chosen = done.server.cipher()
    assert chosen is not None
    assert chosen[0] == INTERMEDIATE_CIPHERS[cipher]


def test_a_minimum_of_1_3() -> None:
    front = front_for(SITE_A, min_version="1.3")
    assert visit(front, "a.test", client_context(CA, V13)).worked
    refused = visit(front, "a.test", client_context(CA, V12))
    assert "unsupported protocol" in refused.server_error
    assert refused.client_error == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_a_swap_may_change_the_minimum() -> None:
    front = front_for(SITE_A, min_version="1.3")
    front.swap(PreparedTls(TlsPlan(sites=(SITE_A,))))
    assert visit(front, "a.test", client_context(CA, V12)).worked


def legacy_hello(version: bytes) -> bytes:
    """A ClientHello without extensions, of a time before TLS 1.2."""
    body = version + bytes(32) + b"\x00" + b"\x00\x04\xc0\x13\x00\x2f" + b"\x01\x00"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize("version", [b"\x03\x00", b"\x03\x01", b"\x03\x02"])
def test_ssl_3_and_tls_1_0_and_1_1_are_refused(version: bytes) -> None:
    end = End()
    server = front_for(TlsSite(("a.test",), (A_EC, A_RSA), default=True)).wrap(
        end.incoming, end.outgoing
    )
    end.incoming.write(legacy_hello(version))
    end.step(server)
    assert end.error is not None
    assert explain(end.error) == "unsupported protocol (TLS 1.1 or older)"


def test_options() -> None:
    for context in (server_context(), front_for(SITE_A)._base):
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
        assert not context.options & ssl.OP_NO_TICKET
        assert not context.options & ssl.OP_IGNORE_UNEXPECTED_EOF
        assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
        assert context.num_tickets == 1


@pytest.mark.parametrize(
    ("min_version", "ciphers"),
    [("1.1", INTERMEDIATE_CIPHERS), ("1.2", ()), ("1.2", ("nonsense",))],
)
def test_a_policy_openssl_does_not_take(min_version: str, ciphers: tuple[str, ...]) -> None:
    with pytest.raises(TlsConfigurationError):
        server_context(min_version, ciphers)


def test_one_unknown_cipher_among_known_ones_is_named() -> None:
    plan = TlsPlan(ciphers=(*INTERMEDIATE_CIPHERS, "ECDHE-RSA-AES1280", "@SECLEVEL=0"))
    with pytest.raises(TlsConfigurationError, match="ECDHE-RSA-AES1280, @SECLEVEL=0"):
        PreparedTls(plan)


@BOTH
def test_a_connection_cut_without_close_notify_is_no_end(version: ssl.TLSVersion) -> None:
    done = visit(front_for(SITE_A), "a.test", client_context(CA, version))
    done.server_end.incoming.write_eof()
    with pytest.raises(ssl.SSLEOFError) as caught:
        done.server.read(1)
    assert explain(caught.value) == "connection closed in the middle"


# Choice by name


@BOTH
def test_each_site_shows_its_own_certificate(version: ssl.TLSVersion) -> None:
    front = front_for(SITE_A, SITE_B)
    trusting = client_context(CA, version)
    assert "a.test" in visit(front, "www.A.test", trusting).names()
    assert "b.test" in visit(front, "sub.b.test", trusting).names()


@BOTH
@pytest.mark.parametrize("name", ["c.test", "x.y.b.test", "test", "a.test.b"])
def test_an_unknown_name_is_refused(version: ssl.TLSVersion, name: str) -> None:
    done = visit(
        front_for(SITE_A, SITE_B, TlsSite(("d.test",), (A_RSA,), default=True)),
        name,
        client_context(version=version),
    )
    assert done.client_error == "TLSV1_UNRECOGNIZED_NAME"
    assert done.server_error == "server name refused"
    assert done.server.refusal == f"no site has the server name {name!r}"


@pytest.mark.parametrize(
    ("asked", "local"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "::ffff:127.0.0.1"), ("::1", "::1")],
)
def test_no_name_goes_to_the_site_of_the_address(asked: str, local: str) -> None:
    """A client that asks for an address sends no name, yet checks the certificate for it."""
    done = visit(front_for(SITE_A, SITE_ADDRESS), asked, client_context(CA), address=local)
    assert done.worked
    assert done.server.server_name is None


def test_no_name_goes_to_the_default_site_where_no_site_has_the_address() -> None:
    front = front_for(SITE_A, SITE_ADDRESS, TlsSite(("b.test",), (B_EC,), default=True))
    plain = client_context()
    der = visit(front, None, plain, address="192.0.2.1").client.getpeercert(binary_form=True)
    assert der == ssl.PEM_cert_to_DER_cert(B_EC[0].decode())


@BOTH
def test_no_name_and_no_site_for_that(version: ssl.TLSVersion) -> None:
    done = visit(front_for(SITE_A), None, client_context(version=version), address="192.0.2.1")
    alert = "SSLV3_ALERT_HANDSHAKE_FAILURE" if version is V12 else "TLSV13_ALERT_MISSING_EXTENSION"
    assert done.client_error == alert
    assert "no server name" in done.server.refusal


def test_a_name_that_is_not_ascii_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    front = front_for(SITE_A, TlsSite(("b.test",), (B_EC,), default=True))
    hello = End()
    hello.step(client_context().wrap_bio(hello.incoming, hello.outgoing, server_hostname="a.test"))
    end = End()
    end.incoming.write(hello.outgoing.read().replace(b"a.test", b"\xff.test"))
    end.step(front.wrap(end.incoming, end.outgoing))
    assert end.error is not None
    assert explain(end.error) == "server name refused"
    assert len(told) == 1


def test_without_a_plan_everybody_is_refused() -> None:
    assert not visit(TlsFront(), "a.test").worked


def test_two_key_types_for_one_name() -> None:
    front = front_for(TlsSite(("a.test",), (A_EC, A_RSA)))
    for cipher, chain in (("aECDSA", A_EC[0]), ("aRSA", A_RSA[0])):
        done = visit(front, "a.test", client_context(CA, V12, f"ECDHE+{cipher}"))
        der = done.client.getpeercert(binary_form=True)
        assert der == ssl.PEM_cert_to_DER_cert(chain.decode())


def test_sites_with_the_same_certificate_share_a_context() -> None:
    prepared = PreparedTls(
        TlsPlan(sites=(TlsSite(("a.test",), (A_EC,)), TlsSite(("www.a.test",), (A_EC,)), SITE_B))
    )
    assert prepared.table.find("a.test") is prepared.table.find("www.a.test")
    assert prepared.table.find("a.test") is not prepared.table.find("b.test")


def test_a_name_in_two_sites() -> None:
    with pytest.raises(TlsConfigurationError, match=r"a\.test stands in two sites"):
        PreparedTls(TlsPlan(sites=(SITE_A, TlsSite(("A.test",), (A_RSA,)))))


def test_a_swap_is_for_new_connections_only() -> None:
    front = front_for(SITE_A)
    before = visit(front, "a.test", client_context(CA))
    front.swap(PreparedTls(TlsPlan(sites=(SITE_B,))))
    assert not visit(front, "a.test").worked
    assert before.session() is not None


# Sessions


def in_child(judge: Callable[[], bool]) -> bool:
    """Ask in a forked process."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if judge() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@BOTH
def test_sessions_live_through_a_fork_and_a_reload(version: ssl.TLSVersion) -> None:
    front = TlsFront()
    client = client_context(version=version)

    def first_worker() -> dict[str, ssl.SSLSession]:
        front.swap(PreparedTls(TlsPlan(sites=(TlsSite(("a.test",), (A_EC, A_RSA)), SITE_B))))
        return {
            name: visit(front, name, client).session() for name in ("a.test", "b.test", "x.b.test")
        }

    sessions = first_worker()

    def second_worker() -> bool:
        # The sites' contexts are others, with other certificates, in another process.
        front.swap(PreparedTls(TlsPlan(sites=(TlsSite(("a.test",), (A_AGAIN,)), SITE_B))))
        return all(
            visit(front, name, client, session).client.session_reused
            for name, session in sessions.items()
        )

    assert in_child(second_worker)


@BOTH
def test_tickets_of_a_child_are_good_for_its_sibling(version: ssl.TLSVersion) -> None:
    """The child seals a ticket; the parent, as another worker, opens it."""
    front = front_for(SITE_A)
    client = client_context(version=version)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            serve(front, theirs)
        finally:
            os._exit(0)
    theirs.close()
    with client.wrap_socket(ours, server_hostname="a.test") as tls:
        assert tls.recv(1) == b"x"
        session = tls.session
    os.waitpid(child, 0)
    again = visit(front, "a.test", client, session)
    assert again.client.session_reused
    assert again.server.session_reused


def serve(front: TlsFront, connected: socket.socket) -> None:
    end = End()
    tls = front.wrap(end.incoming, end.outgoing)
    done = False
    while not done:
        end.incoming.write(connected.recv(65536))
        done = end.step(tls)
        if done:
            tls.write(b"x")
        connected.sendall(end.outgoing.read())


@BOTH
def test_two_fronts_do_not_open_each_others_tickets(version: ssl.TLSVersion) -> None:
    client = client_context(version=version)
    session = visit(front_for(SITE_A), "a.test", client).session()
    assert not visit(front_for(SITE_A), "a.test", client, session).client.session_reused


# Certificates into a context


def test_a_key_of_another_certificate() -> None:
    with pytest.raises(TlsConfigurationError, match="key values mismatch"):
        load_cert_chain(server_context(), A_EC[0], B_EC[1])


@pytest.mark.parametrize("chain", [b"", b"nonsense", A_EC[1]])
def test_no_certificate(chain: bytes) -> None:
    with pytest.raises(TlsConfigurationError):
        load_cert_chain(server_context(), chain, A_EC[1])


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_open() -> None:
    before = open_descriptors()
    load_cert_chain(server_context(), *A_EC)
    with pytest.raises(TlsConfigurationError):
        load_cert_chain(server_context(), b"", b"")
    assert open_descriptors() == before


def test_a_chain_without_a_final_newline() -> None:
    load_cert_chain(server_context(), A_EC[0].rstrip(), A_EC[1])


# Upstreams


def upstream(name: str, context: ssl.SSLContext) -> Visit:
    return visit(front_for(SITE_A, SITE_B), name, context)


def test_an_upstream_is_verified() -> None:
    context = tls_contexts.client_context(ca_pem=CA_PEM)
    done = upstream("a.test", context)
    assert done.worked
    assert done.client.selected_alpn_protocol() is None
    assert not context.options & ssl.OP_IGNORE_UNEXPECTED_EOF


def test_an_upstream_with_a_certificate_of_another_name() -> None:
    front = front_for(TlsSite(("c.test",), (A_EC,)))
    context = tls_contexts.client_context(ca_pem=CA_PEM)
    done = visit(front, "c.test", context)
    assert done.client_end.error is not None
    assert "Hostname mismatch" in explain(done.client_end.error)
    # What the upstream is told, and how we would tell it.
    assert done.server_error == "client does not trust our certificate (alert bad_certificate)"


def test_an_upstream_of_an_unknown_authority() -> None:
    done = upstream("a.test", tls_contexts.client_context())
    assert done.client_end.error is not None
    assert explain(done.client_end.error).startswith("certificate not trusted: ")
    assert done.server_error == "client does not trust our certificate (alert unknown_ca)"


def test_an_upstream_may_be_pinned_to_its_own_certificate() -> None:
    pinned = tls_contexts.client_context(ca_pem=A_EC[0].decode("ascii"))
    assert upstream("a.test", pinned).worked


def test_an_upstream_that_is_not_verified() -> None:
    assert upstream("a.test", tls_contexts.client_context(verify=False)).worked


@pytest.mark.parametrize("wrong", ["nonsense", "nöt ASCII", CA_PEM.replace("MII", "MIX")])
def test_authorities_that_are_none(wrong: str) -> None:
    with pytest.raises(TlsConfigurationError, match="no certificate among the authorities"):
        tls_contexts.client_context(ca_pem=wrong)


# Reasons


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "plain HTTP spoken on the TLS port"),
        (b"CONNECT a:443 HTTP/1.1\r\n\r\n", "plain HTTP spoken on the TLS port (CONNECT)"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not TLS"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", "malformed ClientHello"),
    ],
)
def test_reasons_for_what_is_no_handshake(sent: bytes, reason: str) -> None:
    end = End()
    server = front_for(SITE_A).wrap(end.incoming, end.outgoing)
    end.incoming.write(sent)
    end.step(server)
    assert end.error is not None
    assert explain(end.error) == reason


def test_a_client_that_leaves_in_the_handshake() -> None:
    end = End()
    server = front_for(SITE_A).wrap(end.incoming, end.outgoing)
    end.incoming.write_eof()
    end.step(server)
    assert end.error is not None
    assert explain(end.error) == "connection closed in the middle"


def test_damaged_bytes() -> None:
    done = visit(front_for(SITE_A), "a.test", client_context(CA, V12))
    done.client.write(b"hello")
    damaged = bytearray(done.client_end.outgoing.read())
    damaged[-1] ^= 1
    done.server_end.incoming.write(damaged)
    with pytest.raises(ssl.SSLError) as caught:
        done.server.read(5)
    assert explain(caught.value) == "damaged bytes (bad record mac)"


def test_a_reason_openssl_does_not_name() -> None:
    assert explain(ssl.SSLError(1, "odd")) == "TLS failed"
