"""What takes the supervisor several steps: reloads and reports, and who waits for their outcome."""

import logging
from collections.abc import Generator
from dataclasses import dataclass, field

from proxy.clock import monotonic
from proxy.run import fleet, reporting
from proxy.run.fleet import Child
from proxy.run.house import House
from proxy.run.notify import Notifier
from proxy.run.reloading import Reload, ReloadError
from proxy.run.reporting import Report

MOST_WAITING = 64
"""Questions that may wait at a time; the keeper lets fewer in."""

logger = logging.getLogger("pyproxy.run")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of the keeper's that waits for its answer."""

    child: Child
    number: int

    def answer(self, **content: object) -> None:
        """Answer it. If the keeper is gone, so is whoever asked."""
        if not fleet.tell(self.child, {"reply": self.number, "answer": content}):
            content = {"ok": False, "why": "the answer is too large for the control socket"}
            fleet.tell(self.child, {"reply": self.number, "answer": content})


@dataclass(slots=True, eq=False)
class Errand:
    """A generator that is resumed after every event, and who waits for its end."""

    steps: Generator[None, None, Report | None]
    asks: list[Ask] = field(default_factory=list)


class Errands:
    """One reload and one report at a time. Whoever asks while one is under way gets the next."""

    def __init__(self, house: House, notifier: Notifier, started: float) -> None:
        """Take the house, whom to tell of reloads, and when the proxy started (wall clock)."""
        self._house = house
        self._notifier = notifier
        self._started = started
        self._questions = 0
        self._reload: Reload | None = None
        self._reloading: Errand | None = None
        self._reporting: Errand | None = None
        self._reload_asks: list[Ask] | None = None
        self._report_asks: list[Ask] = []

    def reload(self, ask: Ask | None) -> None:
        """Have the configuration reloaded. `ask`, if any, is answered with the outcome."""
        waiting = self._reload_asks or []
        if ask is not None and len(waiting) < MOST_WAITING:
            waiting.append(ask)
        self._reload_asks = waiting

    def report(self, ask: Ask) -> None:
        """Have a report made."""
        if len(self._report_asks) < MOST_WAITING:
            self._report_asks.append(ask)

    def ended(self, pid: int, status: int) -> bool:
        """Take note of the end of a process; True if it was an errand's."""
        check = self._reload.check if self._reload else None
        if check is None or check.pid != pid:
            return False
        check.status = status
        return True

    def resume(self) -> None:
        """Go on with everything as far as it goes."""
        if self._reloading is None and self._reload_asks is not None:
            asks, self._reload_asks = self._reload_asks, None
            self._begin_reload(asks)
        if self._reloading is not None:
            self._step_reload(self._reloading)
        if self._reporting is None and self._report_asks:
            asks, self._report_asks = self._report_asks, []
            self._questions += 1
            steps = reporting.gathered(self._house, self._questions, self._started)
            self._reporting = Errand(steps, asks)
        if self._reporting is not None:
            self._step_report(self._reporting)

    def cancel(self, why: str) -> None:
        """Give up a reload that is under way or waits."""
        asks = self._reload_asks or []
        if self._reloading is not None:
            self._reloading.steps.close()
            asks = [*self._reloading.asks, *asks]
        self._reload = self._reloading = self._reload_asks = None
        for ask in asks:
            ask.answer(ok=False, why=why, configuration=False)

    def _begin_reload(self, asks: list[Ask]) -> None:
        logger.info("reloading %s", self._house.path)
        self._notifier.tell(RELOADING=1, MONOTONIC_USEC=int(monotonic() * 1e6))
        self._reload = Reload(self._house)
        self._reloading = Errand(self._reload.steps(), asks)

    def _step_reload(self, errand: Errand) -> None:
        outcome: dict[str, object]
        try:
            next(errand.steps)
        except StopIteration:
            generation = self._house.force.generation
            logger.info("reloaded: configuration %d is in force", generation)
            outcome = {"ok": True, "generation": generation}
        except ReloadError as error:
            logger.error("not reloaded, the old configuration stays in force")  # noqa: TRY400 - no fault of the code's
            for line in str(error).splitlines():
                logger.error("%s", line)  # noqa: TRY400 - a log has one line for each of a report
            outcome = {"ok": False, "why": str(error), "configuration": error.configuration}
        else:
            return
        self._reload = self._reloading = None
        self._notifier.tell(READY=1, STATUS=serving(self._house))
        for ask in errand.asks:
            ask.answer(**outcome)

    def _step_report(self, errand: Errand) -> None:
        try:
            next(errand.steps)
        except StopIteration as end:
            self._reporting = None
            for ask in errand.asks:
                ask.answer(ok=True, status=end.value)


def serving(house: House) -> str:
    """Return the one line that a service manager shows."""
    return f"serving with {house.force.workers} workers, configuration {house.force.generation}"
