"""In processes of their own: handlers belong to a whole process."""

import subprocess
import sys

PROGRAM = """
import os, select, signal
from proxy.run.signals import SignalPipe, held_back

pipe = SignalPipe()
pipe.install()
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
    os.kill(os.getpid(), number)
select.select([pipe], [], [], 5)
print(*[each.name for each in pipe.read()])
print(*pipe.read(), "nothing more")

with held_back():
    pid = os.fork()
    if not pid:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        pipe.leave_to_child()
        os._exit(0)  # not reached: SIGTERM was held back and means the end now
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
select.select([pipe], [], [], 5)
print(*[each.name for each in pipe.read()])
"""


def test_signals_come_through_the_pipe_and_a_child_has_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "SIGHUP SIGTERM SIGUSR1",
        "nothing more",
        "-15",
        "SIGCHLD",
    ]
