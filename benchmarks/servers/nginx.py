"""nginx as the proxy, and nginx as the upstream behind all of them."""

import shutil
from pathlib import Path
from typing import ClassVar

from benchmarks import bodies
from benchmarks.running import Launch, Running
from benchmarks.servers.server import Server
from benchmarks.stage import HOST, Options, Part, Policies, response_headers

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
    types {{ application/json json; image/webp webp; }}
    default_type application/octet-stream;
{http}
}}
"""

_PROXY = """\
    access_log {log};
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    limit_req_zone $binary_remote_addr zone=clients:10m rate={rate}r/s;
    upstream origin {{
        server {host}:{origin};
        keepalive {pool};
        keepalive_requests 10000000;
    }}
    server {{
        listen {host}:{port} ssl{http2} reuseport backlog=4096;
        server_name localhost;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        keepalive_timeout {keep_alive}s;
        client_max_body_size {body};
{headers}
        proxy_http_version 1.1;
        {connection}
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Forwarded-Port $server_port;
        location / {{
            proxy_pass http://origin;
{every}
        }}
        location /json/ {{
            proxy_pass http://origin;
            {gzip}
        }}
{files}
    }}
"""

_HOP = 'proxy_set_header Connection "";'
_WEBSOCKETS = (
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; "
    "proxy_read_timeout 3600s; proxy_send_timeout 3600s;"
)

_FILES = """\
        location /static/ {{
            root {folder};
            open_file_cache max=1000 inactive=60s;
            open_file_cache_valid 30s;
        }}"""

_GZIP = (
    "gzip on; gzip_comp_level 1; gzip_types application/json text/plain; gzip_proxied any; "
    "gzip_vary on; gzip_min_length 1000;"
)
_EVERY = f"""\
            limit_req zone=clients burst={{burst}} nodelay;
            limit_req_status 429;
            {_GZIP}"""

_ORIGIN = """\
    access_log off;
    open_file_cache max=100 inactive=1h;
    server {{
        listen {host}:{port} backlog=4096;
        keepalive_timeout 600s;
        root files;
        location /small {{ default_type text/plain; return 200 "{small}"; }}
        location ~ ^/json/(?<size>[0-9]+k)[.]json$ {{
            alias files/json/$size-$page.json;
            etag off;
            max_ranges 0;
            add_header Last-Modified "";
        }}
        location / {{ }}
    }}
    split_clients "$connection $connection_requests" $page {{
{pages}
        * 0;
    }}
"""


class Nginx(Server):
    """nginx with the same policies; `log_options` are added to its access_log line.

    Static files are served with sendfile and open_file_cache on; within TLS of its own nginx reads
    and encrypts them itself, as `sendfile` does nothing there.
    """

    packages: ClassVar[tuple[str, ...]] = ("nginx",)

    def __init__(self, name: str = "nginx", log_options: str = "") -> None:
        self.name = name
        self.log_options = log_options

    def prepare(self, part: Part) -> list[str]:
        """Write nginx.conf."""
        options = part.options
        every = options.policies is Policies.EVERY
        http = _PROXY.format(
            host=HOST,
            port=part.port,
            origin=part.stage.origin_port,
            certificate=part.stage.certificate,
            key=part.stage.key,
            files=_FILES.format(folder=part.stage.folder) if options.files else "",
            log=self.log(options),
            rate=options.rate,
            every=_EVERY.format(burst=options.burst) if every else "",
            gzip=_GZIP,
            pool=options.pool,
            http2=" http2" if options.http2 else "",
            connection=_WEBSOCKETS if options.websockets else _HOP,
            keep_alive=options.keep_alive,
            body=options.body,
            headers="\n".join(
                f'        add_header {name} "{value}" always;'
                for name, value in response_headers(options).items()
            ),
        )
        return write_configuration(part.folder, http, part.workers)

    def log(self, options: Options) -> str:
        """The arguments of access_log."""
        if options.policies is Policies.NONE:
            return "off"
        return f"access.log combined {self.log_options}".rstrip()

    def version_command(self) -> list[str]:
        """`nginx -v`."""
        return [nginx_program(), "-v"]


def start_origin(folder: Path, port: int, cores: frozenset[int]) -> Running:
    """Start the upstream: 100 bytes from memory, the rest from files; one worker, no log."""
    bodies.write(folder / "files", bodies.UPSTREAM)
    share = 100 // bodies.PAGES
    http = _ORIGIN.format(
        host=HOST,
        port=port,
        small="x" * bodies.SMALL,
        pages="\n".join(f"        {share}% {page};" for page in range(1, bodies.PAGES)),
    )
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
