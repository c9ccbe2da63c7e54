"""curl, as a user calls it."""

import subprocess
from dataclasses import dataclass

from tests.journeys.running import PATIENCE, RunningProxy


@dataclass(frozen=True)
class Curled:
    """What curl found: its exit code, the answer's head as it came, the body."""

    code: int
    head: str
    body: bytes
    errors: str


def curl(
    proxy: RunningProxy,
    path: str,
    *options: str,
    host: str = "localhost",
    data: bytes | None = None,
    scheme: str = "https",
) -> Curled:
    """Call curl for a path; `data` is what it reads as its standard input.

    It speaks HTTP/1.1 unless an option says otherwise: what it prints of a head is easier to read.
    """
    if not any(option.startswith("--http") for option in options):
        options = ("--http1.1", *options)
    port = proxy.https_port if scheme == "https" else proxy.http_port
    head = proxy.config.parent / "curl.head"
    head.unlink(missing_ok=True)
    done = subprocess.run(
        [
            "curl", "-q", "-sS", "--noproxy", "*", "--cacert", str(proxy.ca_file),
            "--resolve", f"{host}:{port}:127.0.0.1", "--max-time", str(PATIENCE),
            "-D", str(head), *options, f"{scheme}://{host}:{port}{path}",
        ],
        input=data if data is not None else b"",
        capture_output=True,
        timeout=2 * PATIENCE,
        check=False,
    )  # fmt: skip
    heads = head.read_bytes().decode("latin-1") if head.exists() else ""
    return Curled(done.returncode, heads, done.stdout, done.stderr.decode())
