"""Caddy with the same policies."""

from collections.abc import Mapping
from typing import ClassVar

from benchmarks.servers.server import Feature, Server
from benchmarks.stage import HOST, Part, Policies, response_headers

_CONFIGURATION = """\
{{
    admin off
    auto_https off
    storage file_system {folder}/storage
    log {{
        output file {folder}/caddy.log
        level WARN
    }}
    servers {{
        timeouts {{
            idle {keep_alive}s
        }}
    }}
}}
https://localhost:{port} {{
    bind {host}
    tls {certificate} {key} {{
        protocols tls1.3
    }}
{log}
    header {{
{headers}
    }}
    encode /json/* {{
        gzip 1
    }}
{files}
    handle {{
        reverse_proxy {host}:{origin} {{
            header_up X-Real-IP {{remote_host}}
            header_up X-Forwarded-Port {port}
            transport http {{
                keepalive_idle_conns_per_host {pool}
                compression off
            }}
        }}
    }}
}}
"""

_FILES = """\
    handle_path /static/* {{
        root * {folder}
        file_server
    }}"""
_LOG = """\
    log {{
        output file {folder}/access.log {{
            roll_disabled
        }}
    }}"""


class Caddy(Server):
    """Caddy with its access log in a file; `GOMAXPROCS` takes the place of workers."""

    name = "Caddy"
    packages: ClassVar[tuple[str, ...]] = ("caddy",)
    lacks: ClassVar[frozenset[Feature]] = frozenset({Feature.RATE_LIMITS})

    def __init__(self) -> None:
        self._processors = 1

    def prepare(self, part: Part) -> list[str]:
        """Write the Caddyfile."""
        self._processors = part.workers
        bare = part.options.policies is Policies.NONE
        configuration = part.folder / "Caddyfile"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=part.folder,
                host=HOST,
                port=part.port,
                origin=part.stage.origin_port,
                certificate=part.stage.certificate,
                key=part.stage.key,
                pool=part.options.pool,
                keep_alive=part.options.keep_alive,
                log="" if bare else _LOG.format(folder=part.folder),
                files=_FILES.format(folder=part.stage.static) if part.options.files else "",
                headers="\n".join(
                    f'        {name} "{value}"'
                    for name, value in response_headers(part.options).items()
                ),
            )
        )
        return ["caddy", "run", "--config", str(configuration), "--adapter", "caddyfile"]

    def version_command(self) -> list[str]:
        """`caddy version`."""
        return ["caddy", "version"]

    def environment(self) -> Mapping[str, str]:
        """As many processors as others have workers."""
        return {"GOMAXPROCS": str(self._processors)}
