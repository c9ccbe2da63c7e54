"""The supervisor: waits for signals and for its children, and keeps the house in order.

It has no event loop and no thread, so that forking stays safe, and it never waits for anybody:
whatever takes several steps is an errand that is resumed after every event.
"""

import logging
import os
import selectors
import signal
from collections.abc import Callable

from proxy.clock import monotonic, wall_time
from proxy.net.log_writer import Opener
from proxy.run import fleet
from proxy.run.errands import Ask, Errands, serving
from proxy.run.fleet import Child, Kind, State
from proxy.run.house import House
from proxy.run.in_force import hand_over_logs
from proxy.run.link import LinkError, Message
from proxy.run.log_handover import opener_for
from proxy.run.notify import Notifier
from proxy.run.signals import SignalPipe

TICK = 1.0
"""Seconds; no deadline here is kept more finely."""

KEEPER_PATIENCE = 3.0
"""Seconds for the last answers over the control socket."""

logger = logging.getLogger("pyproxy.run")


class StartError(Exception):
    """The proxy could not begin to serve. The text is for the user."""


class Supervisor:
    """Runs the house until it is told to end."""

    def __init__(
        self,
        house: House,
        signals: SignalPipe,
        notifier: Notifier,
        watchdog: float,
        reopen_logs: Callable[[Opener], None],
    ) -> None:
        """Take what was made before.

        Args:
            house: Bound and ready, without a child yet.
            signals: Installed.
            notifier: To the service manager.
            watchdog: Seconds between two signs of life to it; 0 for none.
            reopen_logs: Opens the supervisor's own logs again.
        """
        self._house = house
        self._fleet = house.fleet
        self._signals = signals
        self._notifier = notifier
        self._watchdog = watchdog
        self._reopen_own_logs = reopen_logs
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.fileno(), selectors.EVENT_READ, self._take_signals)
        self._errands = Errands(house, notifier, wall_time())
        self._fed = 0.0
        self._booting = True
        self._stops = 0
        self._failure = ""
        house.shed = self._shed
        house.welcome = self._welcome

    def run(self) -> None:
        """Supervise, and return once the proxy was told to end and every child is gone.

        Raises:
            StartError: A worker could not begin to serve when the proxy was started.
        """
        while not (self._stops and not self._fleet.children):
            self._settle(monotonic())
            for key, _ in self._selector.select(min(TICK, self._watchdog or TICK)):
                key.data()
            self._reap()
            for child, why in list(self._fleet.overdue(monotonic())):
                logger.error("killing %s: it %s", child.name, why)
                fleet.kill(child, why)
            if not self._stops:
                self._errands.resume()
            self._feed_watchdog(monotonic())
        if self._failure:
            raise StartError(self._failure)

    def _feed_watchdog(self, now: float) -> None:
        if self._watchdog and now >= self._fed + self._watchdog:
            self._fed = now
            self._notifier.tell(WATCHDOG=1)

    def _shed(self) -> None:
        """Let go, in a child, of what waits for events here."""
        self._selector.close()
        self._notifier.close()
        self._signals.leave_to_child()

    # Children.

    def _settle(self, now: float) -> None:
        """Fill the slots that are empty and due; at the end, let the keeper go last."""
        if self._stops:
            if not self._fleet.workers():
                for child in self._fleet.ready(Kind.KEEPER):
                    fleet.retire(child, KEEPER_PATIENCE, now)
            return
        wanted = self._house.force.workers
        for slot in range(wanted):
            if self._fleet.may_start(Kind.WORKER, slot, now):
                self._start_worker(slot)
        if self._booting and len(self._fleet.ready()) >= wanted:
            self._booting = False
            logger.info("ready: %s", serving(self._house))
            self._notifier.tell(READY=1, MAINPID=os.getpid(), STATUS=serving(self._house))
        if not self._booting:
            self._settle_keeper(now)

    def _settle_keeper(self, now: float) -> None:
        for child in self._fleet.ready(Kind.KEEPER):
            if child.generation != self._house.force.generation:
                fleet.retire(child, KEEPER_PATIENCE, now)
        if self._fleet.may_start(Kind.KEEPER, 0, now):
            self._try(self._house.start_keeper)

    def _start_worker(self, slot: int) -> None:
        house = self._house
        seat = self._fleet.free_seat()
        if seat >= 0:  # else one that drains has to go first
            self._try(lambda: house.start_worker(slot, house.force, house.listening, seat))

    def _try(self, start: Callable[[], Child]) -> None:
        try:
            start()
        except OSError as error:
            logger.error("cannot start a process: %s", error.strerror)  # noqa: TRY400 - no fault of the code's
            if self._booting:
                self._give_up(f"cannot start a process: {error.strerror}")

    def _welcome(self, child: Child) -> None:
        self._selector.register(
            child.link.fileno(), selectors.EVENT_READ, lambda: self._hear(child)
        )

    def _hear(self, child: Child) -> None:
        """Take in what a child says."""
        now = monotonic()
        try:
            for message in fleet.heed(child):
                self._fleet.heard(child, message, now)
                if child.kind is Kind.KEEPER and "ask" in message:
                    self._take_question(child, message)
        except LinkError as error:
            self._selector.unregister(child.link.fileno())
            child.deaf = True
            # A child that ends is reaped in a moment; one that only hung up is of no use.
            if child.state is not State.DRAINING:
                child.deadline = min(child.deadline, now + TICK)
            logger.debug("%s: %s", child.name, error)

    def _reap(self) -> None:
        """Bury every process that has ended; as process 1 of a container, orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            child = self._fleet.children.get(pid)
            if child is not None:
                self._bury(child, code)
            else:
                self._errands.ended(pid, code)

    def _bury(self, child: Child, code: int) -> None:
        if not child.deaf:
            self._hear(child)  # its last words
        if not child.deaf:
            self._selector.unregister(child.link.fileno())
        wait = self._fleet.buried(child, monotonic())
        if child.kind is Kind.WORKER:
            self._house.shared.clear(child.seat)
        why = f"it {child.killed_for}" if child.killed_for else child.failure or ended_how(code)
        if child.state is State.DRAINING:
            logger.info("%s has ended%s", child.name, f": {why}" if child.killed_for else "")
        elif self._booting and not self._stops:
            self._give_up(f"{child.name} failed to start: {why}")
        else:
            again = f"; another starts in {wait:.0f} s" if wait else ""
            logger.error("%s is gone: %s%s", child.name, why, again)

    # Signals and questions.

    def _take_signals(self) -> None:
        for number in self._signals.read():
            match number:
                case signal.SIGCHLD:
                    pass  # it has woken us, which was all
                case signal.SIGHUP:
                    self._errands.reload(None)
                case signal.SIGUSR1:
                    self._reopen()
                case _:
                    logger.info("%s: ending%s", number.name, " at once" if self._stops else "")
                    self._stop()

    def _take_question(self, child: Child, message: Message) -> None:
        number = message.get("id")
        if not isinstance(number, int):
            return
        ask = Ask(child, number)
        match message["ask"]:
            case "health":
                ask.answer(ok=bool(self._fleet.ready()) and not self._stops, why="no worker serves")
            case "reload" | "status" if self._stops:
                ask.answer(ok=False, why="the proxy is ending")
            case "reload":
                self._errands.reload(ask)
            case "status":
                self._errands.report(ask)
            case "reopen":
                self._reopen()
                ask.answer(ok=True)
            case "stop":
                ask.answer(ok=True, pid=os.getpid())
                self._stop()

    def _reopen(self) -> None:
        """Open every log anew: the files may have been renamed."""
        self._reopen_own_logs(opener_for(self._house.force.identity))
        try:
            hand_over_logs(self._house.force)  # a reload may have named other files
        except OSError as error:
            logger.error("cannot open %s: %s", error.filename, error.strerror)  # noqa: TRY400 - no fault of the code's
        for child in self._fleet.children.values():
            fleet.tell(child, {"do": "reopen"})

    def _stop(self) -> None:
        """The first time: let running requests finish. After that: end at once."""
        self._stops += 1
        now = monotonic()
        if self._stops > 1:
            for child in self._fleet.children.values():
                fleet.close(child, now)
            return
        patience = self._house.force.program.drain_timeout
        self._notifier.tell(STOPPING=1, STATUS="letting running requests finish")
        self._errands.cancel("the proxy is ending")
        for group in self._house.listening:
            group.close()
        for child in self._fleet.workers():
            fleet.retire(child, patience, now)

    def _give_up(self, why: str) -> None:
        """End because serving could not even begin."""
        self._failure = self._failure or why
        self._stops = 2
        for child in self._fleet.children.values():
            fleet.close(child, monotonic())


def ended_how(code: int) -> str:
    """Return how a process ended, from its exit code or the signal that ended it, below 0."""
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was killed by {name}"
