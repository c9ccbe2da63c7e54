"""HAProxy with the same policies."""

import shutil
from typing import ClassVar

from benchmarks.servers.server import Feature, Server
from benchmarks.stage import HOST, Part, Policies, response_headers

_CONFIGURATION = """\
global
    nbthread {workers}
    maxconn 9000
    log stdout format raw daemon info
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
{log}
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 10s
    timeout http-keep-alive {keep_alive}s
frontend tls
    bind {host}:{port} ssl crt {bundle} alpn {alpn} backlog 4096
    option forwardfor
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
{every}
{headers}
    use_backend encoded if {{ path_beg /json/ }}
    default_backend {default}
backend origin
    http-reuse always
    server origin {host}:{origin} pool-max-conn {pool}
backend encoded
    http-reuse always
    compression algo gzip
    compression type application/json
    server origin {host}:{origin} pool-max-conn {pool}
backend clients
    stick-table type ip size 100k expire 60s store http_req_rate(1s)
"""

_LOG = """\
    log global
    option httplog"""
_EVERY = """\
    http-request track-sc0 src table clients
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {most} }}"""


class HAProxy(Server):
    """HAProxy with as many threads as others have workers; its log lines go to a file by stdout.

    It counts the requests of a sliding second in the place of a bucket, and has no least size below
    which it does not compress: the small answer is left alone for its type.
    """

    name = "HAProxy"
    packages: ClassVar[tuple[str, ...]] = ("haproxy",)
    lacks: ClassVar[frozenset[Feature]] = frozenset({Feature.FILES})

    def prepare(self, part: Part) -> list[str]:
        """Write haproxy.cfg and, as HAProxy wants it, certificate and key in one file."""
        bundle = part.folder / "bundle.pem"
        bundle.touch(mode=0o600)
        bundle.write_bytes(part.stage.certificate.read_bytes() + part.stage.key.read_bytes())
        options = part.options
        every = options.policies is Policies.EVERY
        configuration = part.folder / "haproxy.cfg"
        configuration.write_text(
            _CONFIGURATION.format(
                host=HOST,
                port=part.port,
                origin=part.stage.origin_port,
                bundle=bundle,
                workers=part.workers,
                alpn="h2,http/1.1" if options.http2 else "http/1.1",
                pool=options.pool,
                keep_alive=options.keep_alive,
                log="" if options.policies is Policies.NONE else _LOG,
                every=_EVERY.format(most=options.rate + options.burst) if every else "",
                default="encoded" if every else "origin",
                headers="\n".join(
                    f'    http-response set-header {name} "{value}"'
                    for name, value in response_headers(options).items()
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
