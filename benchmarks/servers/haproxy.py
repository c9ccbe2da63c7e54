"""HAProxy with the same policies."""

import shutil
from typing import ClassVar

from benchmarks.servers.server import Server
from benchmarks.stage import HOST, Part, response_headers

_CONFIGURATION = """\
global
    nbthread {workers}
    maxconn 9000
    log stdout format raw daemon info
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive {keep_alive}s
frontend tls
    bind {host}:{port} ssl crt {bundle} alpn http/1.1 backlog 4096
    option forwardfor
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
{headers}
    default_backend origin
backend origin
    http-reuse always
    server origin {host}:{origin} pool-max-conn 64
"""


class HAProxy(Server):
    """HAProxy with as many threads as others have workers; its log lines go to a file by stdout."""

    name = "HAProxy"
    packages: ClassVar[tuple[str, ...]] = ("haproxy",)

    def prepare(self, part: Part) -> list[str]:
        """Write haproxy.cfg and, as HAProxy wants it, certificate and key in one file."""
        bundle = part.folder / "bundle.pem"
        bundle.touch(mode=0o600)
        bundle.write_bytes(part.stage.certificate.read_bytes() + part.stage.key.read_bytes())
        configuration = part.folder / "haproxy.cfg"
        configuration.write_text(
            _CONFIGURATION.format(
                host=HOST,
                port=part.port,
                origin=part.stage.origin_port,
                bundle=bundle,
                workers=part.workers,
                keep_alive=part.options.keep_alive,
                headers="\n".join(
                    f'    http-response set-header {name} "{value}"'
                    for name, value in response_headers(part.options).items()
                ),
            )
        )
        return [haproxy_program(), "-db", "-f", str(configuration)]

    def version_command(self) -> list[str]:
        """`haproxy -v`."""
        return [haproxy_program(), "-v"]


def haproxy_program() -> str:
    """Where HAProxy is: Debian keeps it in sbin, which is not in every user's PATH."""
    return shutil.which("haproxy") or "/usr/sbin/haproxy"
