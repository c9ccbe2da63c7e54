"""The programs a run needs, installed from the system's packages where they are missing."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "taskset": "util-linux",
}
SERVICES = ("nginx", "haproxy", "caddy")
POLICY = Path("/usr/sbin/policy-rc.d")
SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

Runner = Callable[[Sequence[str], Mapping[str, str]], None]


class MissingProgramsError(Exception):
    """Programs are missing and cannot be installed; the message says what to do."""


def missing(programs: Iterable[str]) -> list[str]:
    """Those of the programs that are not there, in alphabetical order."""
    return sorted(name for name in set(programs) if not shutil.which(name, path=SEARCH))


def install(programs: Sequence[str], policy: Path = POLICY, run: Runner | None = None) -> None:
    """Install the packages of these programs, without any service being started, now or at boot.

    Debian starts what it installs; a `policy-rc.d` that says no, for as long as the installation
    lasts, is its own way to prevent that. One that is already there is left as it is.

    Raises:
        MissingProgramsError: this user may not install, or the installation failed.
    """
    packages = sorted({PACKAGES[name] for name in programs})
    wish = f"install them with: apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise MissingProgramsError(f"missing: {', '.join(programs)}; {wish}")
    run = run or checked
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "--quiet"], quiet)
        run(["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages], quiet)
        services = [name for name in SERVICES if name in programs]
        if services and shutil.which("systemctl"):
            run(["systemctl", "disable", *services], quiet)
    except (subprocess.CalledProcessError, OSError) as error:
        raise MissingProgramsError(f"installing failed ({error}); {wish}") from error
    finally:
        if ours:
            policy.unlink(missing_ok=True)


def checked(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command, its output going where the rig's own goes.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run(command, env={**os.environ, **environment}, check=True)
