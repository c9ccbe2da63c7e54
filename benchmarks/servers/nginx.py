"""nginx as the proxy, and nginx as the upstream behind all of them."""

import shutil
from pathlib import Path
from typing import ClassVar

from benchmarks.running import Launch, Running
from benchmarks.servers.server import Server
from benchmarks.stage import HOST, Part, response_headers

_FRAME = """\
daemon off;
user root;
worker_processes {workers};
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 19000; }}
http {{
    client_body_temp_path tmp/body; proxy_temp_path tmp/proxy; fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi; scgi_temp_path tmp/scgi;
    keepalive_requests 10000000;
    sendfile on;
    tcp_nodelay on;
{http}
}}
"""

_PROXY = """\
    access_log access.log combined{log_options};
    upstream origin {{
        server {host}:{origin};
        keepalive 64;
        keepalive_requests 10000000;
    }}
    server {{
        listen {host}:{port} ssl reuseport backlog=4096;
        server_name localhost;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        keepalive_timeout {keep_alive}s;
        client_max_body_size {body};
{headers}
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Port $server_port;
        }}
    }}
"""

_ORIGIN = """\
    access_log off;
    open_file_cache max=100 inactive=1h;
    default_type application/octet-stream;
    server {{
        listen {host}:{port} backlog=4096;
        keepalive_timeout 600s;
        root files;
        location = /small {{ default_type text/plain; return 200 "{small}"; }}
        location / {{ }}
    }}
"""

SMALL = 100
FILES = {"/10k": 10 << 10, "/1m": 1 << 20}


class Nginx(Server):
    """nginx with the same policies; `log_options` are added to its access_log line."""

    packages: ClassVar[tuple[str, ...]] = ("nginx",)

    def __init__(self, name: str = "nginx", log_options: str = "") -> None:
        self.name = name
        self.log_options = log_options

    def prepare(self, part: Part) -> list[str]:
        """Write nginx.conf."""
        http = _PROXY.format(
            host=HOST,
            port=part.port,
            origin=part.stage.origin_port,
            certificate=part.stage.certificate,
            key=part.stage.key,
            log_options=f" {self.log_options}" if self.log_options else "",
            keep_alive=part.options.keep_alive,
            body=part.options.body,
            headers="\n".join(
                f'        add_header {name} "{value}" always;'
                for name, value in response_headers(part.options).items()
            ),
        )
        return write_configuration(part.folder, http, part.workers)

    def version_command(self) -> list[str]:
        """`nginx -v`."""
        return [nginx_program(), "-v"]


def start_origin(folder: Path, port: int, cores: frozenset[int]) -> Running:
    """Start the upstream: 100 bytes from memory, 10 KB and 1 MB from files; one worker, no log."""
    (folder / "files").mkdir(parents=True)
    for path, size in FILES.items():
        (folder / "files" / path.strip("/")).write_bytes(
            bytes(index % 251 for index in range(size))
        )
    http = _ORIGIN.format(host=HOST, port=port, small="x" * SMALL)
    command = write_configuration(folder, http, workers=1)
    return Running("origin", Launch(command, cores, folder, {}), port, folder / "output.log")


def write_configuration(folder: Path, http: str, workers: int) -> list[str]:
    """Write nginx.conf around an http block and return the command that serves it."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(_FRAME.format(workers=workers, http=http))
    return [nginx_program(), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]


def nginx_program() -> str:
    """Where nginx is: Debian keeps it in sbin, which is not in every user's PATH."""
    return shutil.which("nginx") or "/usr/sbin/nginx"
