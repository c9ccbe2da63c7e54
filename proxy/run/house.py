"""What the supervisor has and makes: sockets, shared memory, children."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.clock import monotonic
from proxy.net.listen import Listening, ListenSocket, bind, widen
from proxy.net.tls_contexts import TlsFront
from proxy.run import fleet, keeper, worker
from proxy.run.fleet import Body, Child, Fleet, Kind
from proxy.run.in_force import InForce
from proxy.run.link import Link
from proxy.state.shared import SharedState


def _nothing() -> None:
    """Shed nothing."""


def _nobody(_child: Child) -> None:
    """Welcome nobody."""


@dataclass(slots=True, eq=False)
class House:
    """Everything that outlives a single child.

    Attributes:
        path: The configuration file.
        force: The configuration in force.
        shed: Run in each child first: lets go of what only the supervisor needs.
        welcome: Run for each child that was made.
        attempts: Loads and reloads so far.
    """

    path: str
    environ: Mapping[str, str]
    force: InForce
    listening: list[Listening]
    control: socket.socket
    shared: SharedState
    front: TlsFront
    fleet: Fleet
    owner: int = field(default_factory=os.geteuid)
    shed: Callable[[], None] = _nothing
    welcome: Callable[[Child], None] = _nobody
    attempts: int = 1

    def start_worker(
        self, slot: int, force: InForce, listening: Sequence[Listening], seat: int
    ) -> Child:
        """Fork a worker for a slot.

        Raises:
            OSError: There can be no further process.
        """
        own = tuple(
            ListenSocket(sock, group.endpoint)
            for group in listening
            for sock in group.for_slot(slot)
        )

        def body(link: Link) -> int:
            kept = {each.sock for each in own}
            for group in (*self.listening, *listening):
                for sock in group.sockets():
                    if sock not in kept:
                        sock.close()
            self.control.close()
            share = self.shared.worker(seat)
            post = worker.Post(
                slot, force.generation, force.program, own, self.front, share,
                force.workers, force.identity,
            )  # fmt: skip
            return worker.run(post, link)

        return self._add(Kind.WORKER, slot, seat, force, body)

    def start_keeper(self) -> Child:
        """Fork the keeper.

        Raises:
            OSError: There can be no further process.
        """
        force = self.force
        post = keeper.Post(
            force.loaded,
            force.program,
            self.control,
            self.owner,
            self.shared.health,
            force.identity,
        )

        def body(link: Link) -> int:
            for group in self.listening:
                group.close()
            return keeper.run(post, link)

        return self._add(Kind.KEEPER, 0, -1, force, body)

    def _add(self, kind: Kind, slot: int, seat: int, force: InForce, body: Body) -> Child:
        pid, link = fleet.fork(body, self.shed_in_child)
        now = monotonic()
        child = Child(
            kind, slot, seat, pid, link, force.generation, now, now, now + fleet.START_LIMIT
        )
        self.fleet.add(child)
        self.welcome(child)
        return child

    def shed_in_child(self) -> None:
        """Let go, in a child, of what only the supervisor needs."""
        for child in self.fleet.children.values():
            child.link.close()
        self.shed()

    def relistened(self, force: InForce) -> list[Listening]:
        """Return what to listen on for another configuration, the sockets that stay among it.

        Raises:
            ListenError: An address cannot be listened on; nothing has changed then.
        """
        by_endpoint = {group.endpoint: group for group in self.listening}
        own_ports = frozenset(group.endpoint.port for group in self.listening)
        found: list[Listening] = []
        try:
            for endpoint in force.program.endpoints:
                group = by_endpoint.get(endpoint) or bind(endpoint, force.workers, own_ports)
                found.append(group)
                widen(group, force.workers)
        except Exception:
            self.forget(found)
            raise
        return found

    def forget(self, listening: list[Listening]) -> None:
        """Close what `relistened` opened."""
        for group in listening:
            if group in self.listening:
                group.shrink(self.force.workers)
            else:
                group.close()

    def settle_on(self, force: InForce, listening: list[Listening]) -> None:
        """Put a configuration in force whose workers serve already."""
        for group in self.listening:
            if group not in listening:
                group.close()
        self.force, self.listening = force, listening
        for group in listening:
            group.shrink(force.workers)
