import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import gc, logging, ssl, sys, threading, warnings
from proxy.net.log_files import open_logs
from proxy.routing.route import LogPlan
from proxy.run import stray_output

def name_that_is_no_text():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda *_: None
    hello = bytes.fromhex(sys.argv[2])
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    try:
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    except ssl.SSLError as error:
        assert "CALLBACK_FAILED" in str(error), error

class Unwilling:
    def __del__(self):
        raise RuntimeError("in __del__")

def thread():
    failing = threading.Thread(target=lambda: 1 / 0, name="careless")
    failing.start()
    failing.join()

stray_output.to_log()
logs = open_logs(LogPlan("off", "combined", sys.argv[1], "debug"))
for _ in range(1000):
    name_that_is_no_text()
Unwilling()
thread()
warnings.warn("old\\nfashioned", UserWarning)
logging.getLogger("somebody.else").warning("heard")
logs.close()
logging.getLogger("somebody.else").warning("too late")
Unwilling()
"""


def hello(name: bytes) -> bytes:
    """A ClientHello of TLS 1.3 that asks for a name."""

    def sized(data: bytes, size: int) -> bytes:
        return len(data).to_bytes(size, "big") + data

    def extension(kind: int, data: bytes) -> bytes:
        return kind.to_bytes(2, "big") + sized(data, 2)

    extensions = (
        extension(0, sized(b"\0" + sized(name, 2), 2))
        + extension(43, sized(b"\3\4", 1))
        + extension(10, sized(b"\0\x17", 2))
        + extension(13, sized(b"\4\3", 2))
    )
    body = b"\3\3" + bytes(32) + b"\0" + sized(b"\x13\x01", 2) + sized(b"\0", 1)
    return b"\x16\3\1" + sized(b"\1" + sized(body + sized(extensions, 2), 3), 2)


def test_nothing_is_written_to_standard_error(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log), hello(b"\xff\x1b[31mforged").hex()],
        capture_output=True, text=True, timeout=30, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = log.read_text()
    assert 0 < text.count(": a name that is not text: ordinal not in range(128)\n") < 500
    assert "forged" not in text
    assert text.count("UnicodeDecodeError") == 0, "no traceback"
    assert re.search(r"\[error\] \d+: exception ignored: Unwilling.__del__\n", text)
    assert "    RuntimeError: in __del__\n" in text
    assert "thread careless failed\n" in text
    assert "    ZeroDivisionError: division by zero\n" in text
    assert r"UserWarning: old\x0Afashioned" in text
    assert "[warning]" in text
    assert ": heard\n" in text
    assert "too late" not in text
