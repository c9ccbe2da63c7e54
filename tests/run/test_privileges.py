import os
import pwd
import resource
import subprocess
import sys

import pytest

from proxy.run import privileges
from proxy.run.privileges import PrivilegeError, identity_of, plan

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_users_are_found_by_name_and_number() -> None:
    found = identity_of("nobody")
    assert (found.name, found.uid, found.gid) == ("nobody", NOBODY.pw_uid, NOBODY.pw_gid)
    assert NOBODY.pw_gid in found.groups
    assert identity_of(str(NOBODY.pw_uid)) == found
    assert identity_of("nobody:0").gid == 0
    assert identity_of("nobody:root").gid == 0


@pytest.mark.parametrize("user", ["no-such-user", "4000000000", "nobody:no-such-group"])
def test_unknown_users_are_named(user: str) -> None:
    with pytest.raises(PrivilegeError, match=user.rpartition(":")[2]):
        identity_of(user)


def test_only_root_changes_its_user() -> None:
    assert plan("nobody", 0) == identity_of("nobody")
    assert plan("nobody", 1000) is None
    assert plan("no-such-user", 1000) is None
    assert plan(None, 0) is None
    assert plan("root", 0) is None


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        assert privileges.raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


PROGRAM = """
import os
from proxy.run.privileges import become, identity_of

become(identity_of("nobody"))
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))
print(next(line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")).split()[1])
try:
    os.setuid(0)
except PermissionError:
    print("no way back")
"""


MEMORY = """
import ctypes, os, resource
from proxy.run.privileges import become

pid = os.getpid()
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
reader, writer = os.pipe()
ready, told = os.pipe()
child = os.fork()
if child == 0:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as fs.suid_dumpable = 1 has it
    become(None)
    os.write(told, b".")
    os.read(reader, 1)
    open("/proc/self/fd/0").close()
    os._exit(resource.getrlimit(resource.RLIMIT_CORE) != (0, 0))
os.read(ready, 1)
try:
    open(f"/proc/{child}/mem", "rb").close()
except PermissionError:
    print("kept")
os.write(writer, b".")
print(os.waitpid(child, 0)[1])
"""


def test_the_memory_is_for_nobody_else() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["kept", "0"], done.stderr


@as_root
def test_nothing_of_root_is_left() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False
    )
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    groups = list(identity_of("nobody").groups)
    assert done.stdout.splitlines() == [
        f"{(uid,) * 3} {(gid,) * 3} {groups}",
        "1",
        "no way back",
    ], done.stderr
