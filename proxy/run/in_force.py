"""A configuration with everything that follows from it, and what a change of it takes."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from proxy.compiler.program import compile_program
from proxy.routing.program import Program
from proxy.run import cpus, privileges
from proxy.run.loading import Loaded
from proxy.run.log_handover import opener_for
from proxy.state.rate_store import RateStore


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """A configuration, ready to be served.

    Attributes:
        generation: Counts the loads and reloads, those that failed included.
        workers: How many there are to be.
        identity: Whom workers and keeper become.
        since: Wall clock.
    """

    generation: int
    loaded: Loaded
    program: Program
    workers: int
    identity: privileges.Identity | None
    since: float

    @property
    def state_dir(self) -> Path:
        """Return where certificates and the control socket are."""
        return Path(self.loaded.settings.state_dir)


def made_ready(
    loaded: Loaded, generation: int, since: float, rate_store: RateStore | None = None
) -> InForce:
    """Compile a configuration, and look up whom it speaks of.

    Args:
        loaded: The configuration.
        generation: Its number.
        since: Wall clock.
        rate_store: Keeps the buckets of rate limits; None if this is never to serve.

    Raises:
        PrivilegeError: Its user does not exist.
        ValueError: It does not compile.
    """
    settings = loaded.settings
    return InForce(
        generation,
        loaded,
        compile_program(settings, replace(loaded.sources, rate_store=rate_store)),
        cpus.usable() if settings.workers == "auto" else settings.workers,
        privileges.plan(settings.user, os.geteuid()),
        since,
    )


def refusal(old: InForce, new: InForce) -> str:
    """Return why a running proxy cannot go from `old` to `new` at all, "" if it can."""
    if old.state_dir != new.state_dir:
        return f"state_dir is {old.state_dir} while the proxy runs: restart it to change that"
    return ""


def needs_new_workers(old: InForce, new: InForce) -> bool:
    """Tell whether something changed that a worker is born with, so that it cannot be swapped."""
    return (
        set(old.program.endpoints) != set(new.program.endpoints)
        or old.workers != new.workers
        or old.identity != new.identity
        or old.program.log != new.program.log
    )


def hand_over_logs(force: InForce) -> None:
    """Make sure that workers can open their log files, once and whenever they are reopened.

    Raises:
        OSError: One cannot be made; the error names it.
    """
    log = force.program.log
    opener = opener_for(force.identity)
    for target in sorted({log.access_to, log.error_to} - {"stdout", "stderr", "off"}):
        os.close(opener(target))
