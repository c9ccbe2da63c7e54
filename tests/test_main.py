import subprocess
import sys
from pathlib import Path

import proxy
from proxy.cli.root import COMMANDS

ROOT = Path(__file__).parents[1]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_module_is_the_command() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"pyproxy {proxy.__version__}\n")
    done = run("serv")
    assert done.returncode == 2
    assert "serv" in done.stderr


LIGHT = """
import sys
from proxy.cli.root import command
try:
    command(["{words}"][0].split(), prog_name="pyproxy")
except SystemExit:
    pass
heavy = {{"asyncio", "uvloop", "pydantic", "cryptography", "ssl", "h11"}} & set(sys.modules)
print(sorted(heavy), file=sys.stderr)
"""


def test_what_runs_every_few_seconds_imports_little(tmp_path: Path) -> None:
    config = tmp_path / "proxy.yaml"
    config.write_text("sites: []\n")
    for words in ("--version", "--help", f"health --config {config}"):
        done = subprocess.run(
            [sys.executable, "-c", LIGHT.format(words=words)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stderr.splitlines()[-1] == "[]", words


def test_help_shows_every_command() -> None:
    shown = run("--help").stdout
    for name, line in COMMANDS.items():
        assert f"{name} " in shown
        assert line in shown
