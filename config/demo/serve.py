"""What `./dev serve` runs: the demo application, the proxy in front of it, and the way to try it.

The application lives in a thread of this process, the proxy in processes of its own. A signal
that ends this process is handed to the proxy, once for every time it comes, and the proxy's exit
status becomes ours.
"""

import http.client
import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from app import DemoHandler, DemoServer

HERE = Path(__file__).parent
STATE = "PYPROXY_DEMO_STATE"
ROOT_CERTIFICATE = Path("local-ca", "root.pem")  # below the state folder
PATIENCE = 30.0  # seconds until the proxy has to answer


def settings() -> dict[str, str]:
    """The variables of config/demo.yaml, from the environment or as they are by default."""
    state = HERE.parents[1] / "certs" / "demo"
    defaults = {"PYPROXY_DEMO_HTTP": "8080", "PYPROXY_DEMO_HTTPS": "8443", STATE: str(state)}
    return {name: os.environ.get(name) or default for name, default in defaults.items()}


def start_proxy(variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the proxy in a process group of its own, so that Ctrl-C reaches it through us alone."""
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(HERE.parent / "demo.yaml")]
    return subprocess.Popen(  # noqa: S603 - our own command, no shell
        command, env=os.environ | variables, process_group=0
    )


def ask(port: int, root: Path) -> str:
    """One request through the proxy, its certificate verified against the local root.

    Raises:
        ConnectionError: Another proxy answers, which has another application behind it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(root)
    connection = http.client.HTTPSConnection("localhost", port, timeout=5, context=context)
    try:
        connection.request("GET", "/api/echo")
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status == http.client.OK and json.loads(body)["process"] != os.getpid():
        raise ConnectionError("somebody else's demo")
    return f"{answer.status} {answer.reason}"


def wait_for_answer(proxy: subprocess.Popen[bytes], port: int, root: Path) -> str | None:
    """Ask until the proxy answers; None if it ended or never did."""
    deadline = time.monotonic() + PATIENCE
    while proxy.poll() is None and time.monotonic() < deadline:
        try:
            return ask(port, root)
        except (OSError, ValueError, http.client.HTTPException):
            time.sleep(0.1)  # no root certificate yet, or nobody listens yet, or another proxy does
    return None


def how_to_try(port: int, root: Path, answer: str) -> str:
    """What to type, for people."""
    curl = shlex.join(["curl", "--cacert", str(root), f"https://localhost:{port}/api/echo"])
    return (
        f"\nThe proxy serves https://localhost:{port}/ in front of the demo application; "
        f"GET /api/echo was answered {answer}.\nTry it:\n\n    {curl}\n\nCtrl-C ends both.\n\n"
    )


def main() -> int:
    """Run until a signal or the proxy's own end; the proxy's exit status."""
    variables = settings()
    port, root = int(variables["PYPROXY_DEMO_HTTPS"]), Path(variables[STATE], ROOT_CERTIFICATE)
    wanted = int(os.environ.get("PYPROXY_DEMO_APP") or "0")
    with DemoServer(("127.0.0.1", wanted), DemoHandler) as application:
        variables["PYPROXY_DEMO_APP"] = str(application.server_port)
        threading.Thread(target=application.serve_forever, daemon=True).start()
        proxy = start_proxy(variables)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _frame: proxy.send_signal(number))
        answer = wait_for_answer(proxy, port, root)
        if answer is not None:
            sys.stdout.write(how_to_try(port, root, answer))
            sys.stdout.flush()
        elif proxy.poll() is None:
            sys.stderr.write(f"the proxy has not answered for {PATIENCE:g} s\n")
            proxy.terminate()
        status = proxy.wait()
        application.shutdown()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
