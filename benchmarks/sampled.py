"""pyproxy with a stack sampler in every process it forks: `python sampled.py FILE serve …`.

Each process counts, at every tick of its own CPU clock, which Python function runs and which ones
called it, and leaves the counts in FILE.PID as JSON every quarter of a second of CPU time. Time
spent in C, in the kernel too, counts for the Python function that called it.
"""

import json
import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import TextIO

INTERVAL = 0.004  # seconds of CPU time, the kernel's own granularity
SAVE_EVERY = 64  # samples


class Sampler:
    """Counts samples by function: by the running one (`own`) and by all on the stack (`whole`)."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.samples = 0
        self.own: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()

    def tick(self, _signal: int, frame: FrameType | None) -> None:
        """Count one sample."""
        if frame is None:
            return
        names = []
        while frame is not None:
            names.append(name_of(frame))
            frame = frame.f_back
        self.samples += 1
        self.own[names[0]] += 1
        self.whole.update(set(names))
        if self.samples % SAVE_EVERY == 0:
            self.save()

    def save(self) -> None:
        """Leave the counts in the file."""
        counts = {"samples": self.samples, "own": self.own, "whole": self.whole}
        self._file.seek(0)
        self._file.write(json.dumps(counts))
        self._file.truncate()
        self._file.flush()


def name_of(frame: FrameType) -> str:
    """A function as people look for it: its last two folders and file, its name, its first line."""
    code = frame.f_code
    file = "/".join(Path(code.co_filename).parts[-2:])
    return f"{file}:{code.co_firstlineno} {code.co_qualname}"


def sample_children(prefix: str) -> None:
    """Begin to sample in every process forked from now on."""

    def begin() -> None:
        # Opened now: a moment later the process may have given up the right to.
        sampler = Sampler(Path(f"{prefix}.{os.getpid()}").open("w"))  # noqa: SIM115 - for life
        signal.signal(signal.SIGPROF, sampler.tick)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    os.register_at_fork(after_in_child=begin)


def main() -> None:
    """Run pyproxy of the current folder with what follows the file's name on the command line."""
    sample_children(sys.argv[1])
    sys.path[0] = str(Path.cwd())
    sys.argv = ["proxy", *sys.argv[2:]]
    runpy.run_module("proxy", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
