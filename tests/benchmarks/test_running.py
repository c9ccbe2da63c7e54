import sys
from pathlib import Path

from benchmarks import processes
from benchmarks.running import Launch, Running, pinned

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""


def start(program: str, folder: Path) -> Running:
    launch = Launch([sys.executable, "-c", program], frozenset({0}), folder, {"WORD": "here"})
    return Running("program", launch, 0, folder / "output.log")


def wait_for_two(running: Running) -> list[int]:
    while running.last_words().count("ready") < 2:
        assert running.process.poll() is None
    return running.pids()


def test_what_will_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    running = start(STUBBORN, tmp_path)
    pids = wait_for_two(running)
    assert len(pids) == 2
    running.stop(patience=0.1)
    assert running.process.returncode is not None
    alive = processes.read_all()
    assert not any(pid in alive and alive[pid].parent == running.pid for pid in pids)


def test_its_outputs_are_kept_and_its_environment_is_set(tmp_path: Path) -> None:
    running = start(
        "import os; print(os.environ['WORD']); raise SystemExit('last words')", tmp_path
    )
    running.process.wait()
    assert running.output.read_text() == "here\n"
    assert running.last_words() == "last words"
    (tmp_path / "error.log").write_text("first\nand the log\n")
    assert running.last_words(lines=1) == "last words\nand the log"
    running.stop()


def test_cores_are_listed_in_order() -> None:
    assert pinned(frozenset({3, 1})) == ["taskset", "--cpu-list", "1,3"]
