"""Both ends of a TLS connection joined in memory."""

import ssl
from dataclasses import dataclass, field

import trustme


@dataclass
class End:
    """One end: the TLS object and what comes in and goes out."""

    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    done: bool = False
    error: ssl.SSLError | None = None

    def step(self, tls: ssl.SSLObject) -> bool:
        """Shake hands as far as it goes, and tell whether it is done. A failure is kept."""
        if not self.done and self.error is None:
            try:
                tls.do_handshake()
                self.done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.error = error
        return self.done


def shake(client: ssl.SSLObject, client_end: End, server: ssl.SSLObject, server_end: End) -> None:
    """Shake hands until both are done or neither can go on."""
    for _ in range(6):
        client_end.step(client)
        server_end.incoming.write(client_end.outgoing.read())
        server_end.step(server)
        client_end.incoming.write(server_end.outgoing.read())


def client_context(
    authority: trustme.CA | None = None,
    version: ssl.TLSVersion | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """A client that trusts one authority, or anybody, and speaks one version, or any."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        authority.configure_trust(made)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    if ciphers is not None:
        made.set_ciphers(ciphers)
    made.set_alpn_protocols(["h2", "http/1.1"])
    return made


def pem(leaf: trustme.LeafCert) -> tuple[bytes, bytes]:
    """Chain and key."""
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    return chain, leaf.private_key_pem.bytes()
