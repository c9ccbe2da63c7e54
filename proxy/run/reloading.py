"""A reload, step by step: checked, prepared everywhere, then in force everywhere or nowhere.

Each function here is a generator that the supervisor resumes whenever something has happened. It
looks at what is the case, and yields as long as it has to wait. So a reload reads from top to
bottom although the supervisor never waits for it.
"""

import logging
import os
import pickle
from collections.abc import Generator

from proxy.clock import monotonic, wall_time
from proxy.net.listen import ListenError
from proxy.run import checking, fleet
from proxy.run.checking import Check, ConfigurationError
from proxy.run.fleet import Child, Kind, State
from proxy.run.house import House
from proxy.run.in_force import InForce, hand_over_logs, made_ready, needs_new_workers, refusal
from proxy.run.link import into_memory
from proxy.run.loading import Loaded
from proxy.run.privileges import PrivilegeError

PREPARE_LIMIT = 30.0
"""Seconds for the workers to compile a configuration; longer, and they would count as hung."""

Steps = Generator[None, None, None]

logger = logging.getLogger("pyproxy.run")


class ReloadError(Exception):
    """Nothing has changed. The text is for the user.

    Attributes:
        configuration: True where the file is at fault, and not the machine.
    """

    def __init__(self, why: str, *, configuration: bool = False) -> None:
        super().__init__(why)
        self.configuration = configuration


class Reload:
    """One reload."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.check: Check | None = None

    def steps(self) -> Steps:
        """Carry out the reload.

        Raises:
            ReloadError: It failed.
        """
        house = self._house
        loaded = yield from self._checked()
        house.attempts += 1
        try:
            new = made_ready(loaded, house.attempts, wall_time(), house.shared.buckets)
            why = refusal(house.force, new)
            if why:
                raise ReloadError(why, configuration=True)
            hand_over_logs(new)
        except (PrivilegeError, ValueError) as error:
            raise ReloadError(str(error), configuration=True) from None
        except OSError as error:
            raise ReloadError(f"{error.filename}: {error.strerror}") from None
        if needs_new_workers(house.force, new):
            yield from self._replaced(new)
        else:
            yield from self._swapped(new)

    def _checked(self) -> Generator[None, None, Loaded]:
        house = self._house
        try:
            check = checking.start(house.path, house.environ, house.shed_in_child)
        except OSError as error:
            raise ReloadError(f"cannot start a process: {error.strerror}") from None
        self.check = check
        limit = monotonic() + checking.CHECK_LIMIT
        try:
            while check.status is None:
                if monotonic() > limit:
                    raise ReloadError(f"checking took longer than {checking.CHECK_LIMIT:.0f} s")
                yield
            return checking.finding(check)
        except ConfigurationError as error:
            raise ReloadError(str(error), configuration=True) from None
        finally:
            self.abandon_check()

    def abandon_check(self) -> None:
        """End a check that is not wanted any more."""
        if self.check is not None:
            if self.check.status is None:
                checking.abandon(self.check)
            os.close(self.check.handle)
            self.check = None

    def _swapped(self, new: InForce) -> Steps:
        """Have the running workers swap the configuration."""
        house = self._house
        workers = house.fleet.ready()
        handle = into_memory(pickle.dumps(new.loaded))
        try:
            for child in workers:
                fleet.tell(child, {"do": "prepare", "generation": new.generation}, (handle,))
            try:
                yield from self._prepared(workers, new.generation)
            except ReloadError:
                for child in workers:
                    fleet.tell(child, {"do": "abandon"})
                raise
            house.force = new
            for child in workers:
                _commit(child, new.generation)
            self._retire_stragglers(new)
            for child in house.fleet.ready(Kind.KEEPER):
                if fleet.tell(child, {"do": "adopt", "generation": new.generation}, (handle,)):
                    child.generation = new.generation
        finally:
            os.close(handle)

    def _retire_stragglers(self, new: InForce) -> None:
        """Replace workers that were made for the old configuration while the others prepared."""
        for child in self._house.fleet.workers():
            if child.generation == new.generation:
                continue
            if child.state is State.STARTING:
                child.state = State.DRAINING
                fleet.kill(child, "was starting with the old configuration")
            else:
                fleet.retire(child, new.program.drain_timeout, monotonic())

    def _prepared(self, workers: list[Child], generation: int) -> Steps:
        """Wait until every worker has prepared a configuration."""
        limit = monotonic() + PREPARE_LIMIT
        waiting = list(workers)
        while waiting:
            for child in list(waiting):
                answered, why = child.prepared
                if answered == generation:
                    waiting.remove(child)
                    if why:
                        raise ReloadError(f"{child.name} cannot use it: {why}")
                elif child.pid not in self._house.fleet.children:
                    raise ReloadError(f"{child.name} ended while it prepared the configuration")
            if waiting and monotonic() > limit:
                raise ReloadError(f"{waiting[0].name} did not prepare the configuration in time")
            if waiting:
                yield

    def _replaced(self, new: InForce) -> Steps:
        """Have other workers take over; the old ones stop accepting once all new ones do."""
        house = self._house
        yield from self._seated(new.workers)
        try:
            listening = house.relistened(new)
        except ListenError as error:
            raise ReloadError(str(error)) from None
        started: list[Child] = []
        try:
            for slot in range(new.workers):
                seat = house.fleet.free_seat()
                started.append(house.start_worker(slot, new, listening, seat))
                yield from self._arrived(started[-1])
        except BaseException as error:  # the supervisor may end in the middle, too
            for child in started:
                fleet.close(child, monotonic())
            house.forget(listening)
            if isinstance(error, OSError):
                raise ReloadError(f"cannot start a process: {error.strerror}") from None
            raise
        patience = house.force.program.drain_timeout
        house.settle_on(new, listening)
        for child in house.fleet.workers():
            if child.generation != new.generation:
                fleet.retire(child, patience, monotonic())

    def _seated(self, needed: int) -> Steps:
        """Wait until so many seats are free; those who drain longest make room."""
        own = self._house.fleet
        if needed > own.seats // 2:
            raise ReloadError(
                f"more than {own.seats // 2} workers take a restart: "
                "what they share was made for fewer"
            )
        while own.seats - len(own.workers()) < needed:
            for child in own.workers():
                if child.state is State.DRAINING and not child.killed_for:
                    fleet.kill(child, "drained while a third configuration came into force")
                    break
            yield

    def _arrived(self, child: Child) -> Steps:
        """Wait until a new worker serves."""
        while child.state is State.STARTING:
            if child.pid not in self._house.fleet.children:
                raise ReloadError(f"{child.name} failed to start: {child.failure or 'see the log'}")
            yield


def _commit(child: Child, generation: int) -> None:
    """Have a worker swap to what it has prepared."""
    if fleet.tell(child, {"do": "commit", "generation": generation}):
        child.generation = generation
    else:
        fleet.kill(child, "does not take orders")
