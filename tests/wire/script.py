"""Screenplays for HTTP/1.1 machines: `>> bytes` goes in, `<< event` comes out.

    script = Script(server) >> b"GET / HTTP/1.1..." << "GET /" << END
    script.play()

`play` performs the script three times, each with a fresh machine: the bytes whole, one at a time,
and seven at a time. Pieces of a body are joined before they are compared, so that the same lines
hold for every performance.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from proxy.errors import ProxyError
from proxy.message.head import RequestHead, ResponseHead
from proxy.wire.events import MessageEnd, Paused

Event = RequestHead | ResponseHead | bytes | MessageEnd | Paused | None
Told = str | bytes | MessageEnd | Paused
PIECES = (0, 1, 7)


class Machine(Protocol):
    def receive(self, data: bytes) -> None: ...
    def next_event(self) -> Event: ...


M = TypeVar("M", bound=Machine)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut `data`; a size of 0 leaves it whole."""
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


def name_of(event: RequestHead | ResponseHead) -> str:
    if isinstance(event, RequestHead):
        return f"{event.method} {event.target}"
    return f"{event.status} {event.reason}".rstrip()


def add(told: list[Told], event: RequestHead | ResponseHead | bytes | MessageEnd | Paused) -> None:
    """Note an event; joins pieces of a body, and repeated PAUSED."""
    if isinstance(event, RequestHead | ResponseHead):
        told.append(name_of(event))
    elif isinstance(event, bytes):
        assert event, "an empty piece of a body was told"
        if told and isinstance(told[-1], bytes):
            told[-1] += event
        else:
            told.append(event)
    elif not (isinstance(event, Paused) and told and told[-1] is event):
        told.append(event)


def drain(machine: Machine, told: list[Told]) -> None:
    """Take events until the machine has no more."""
    while True:
        event = machine.next_event()
        if event is None:
            return
        add(told, event)
        if isinstance(event, Paused):
            return


def feed(machine: Machine, data: bytes, size: int = 0) -> list[Told]:
    """Feed bytes in pieces; return what was told. A refusal is told as "! STATUS" and ends it."""
    told: list[Told] = []
    try:
        for piece in pieces(data, size):
            machine.receive(piece)
            drain(machine, told)
    except ProxyError as error:
        told.append(f"! {error.status}")
    return told


class Script(Generic[M]):
    """See the module's docstring."""

    def __init__(self, make: Callable[[], M]) -> None:
        self._make = make
        self._steps: list[tuple[str, object]] = []

    def __rshift__(self, data: bytes) -> Self:
        self._steps.append(("feed", data))
        return self

    def __lshift__(self, expected: Told) -> Self:
        self._steps.append(("told", expected))
        return self

    def do(self, action: Callable[[M], object], returns: object = None) -> Self:
        """Call something on the machine; what it returns must be `returns`."""
        self._steps.append(("do", (action, returns)))
        return self

    def play(self) -> None:
        for size in PIECES:
            self._perform(size)

    def _perform(self, size: int) -> None:
        machine = self._make()
        told: list[Told] = []
        for number, (kind, value) in enumerate(self._steps):
            where = f"step {number} in pieces of {size or 'any size'}"
            if kind == "told":
                assert told, f"{where}: nothing told, expected {value!r}"
                assert told.pop(0) == value, where
                continue
            assert not told, f"{where}: also told {told!r}"
            if kind == "feed":
                assert isinstance(value, bytes)
                told = feed(machine, value, size)
            else:
                assert isinstance(value, tuple)
                action, returns = value
                assert action(machine) == returns, where
                drain(machine, told)
        assert not told, f"at the end: also told {told!r}"


VECTORS = Path(__file__).parents[1] / "vectors" / "http1"


def vectors(folder: str) -> list[Path]:
    """The wire bytes kept in a folder of tests/vectors/http1."""
    found = sorted((VECTORS / folder).glob("**/*.wire"))
    assert found
    return found


def label(path: Path) -> str:
    return path.relative_to(VECTORS).with_suffix("").as_posix()


def attributes(head: RequestHead | ResponseHead) -> dict[str, object]:
    """Everything a machine says of a head."""
    return {name: getattr(head, name) for name in head.__slots__ if name != "prepared"}


def describe(event: Event) -> list[str]:
    """An event as lines of a .told file."""
    if isinstance(event, RequestHead | ResponseHead):
        lines = [type(event).__name__]
        lines += [f"    {name}: {value!r}" for name, value in sorted(attributes(event).items())]
        return lines
    return [repr(event)]
