"""An event loop whose clock is moved by hand."""

import asyncio
from typing import Any


class HandLoop(asyncio.SelectorEventLoop):
    """Runs only inside `settle` and `advance`; names are answered by the test.

    Attributes:
        now: What `time()` returns.
        asked: The names looked up and not answered yet, in order.
        most_at_once: The most lookups that were ever under way together.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[str] = []
        self.most_at_once = 0
        self._answers: dict[str, asyncio.Future[list[tuple[Any, ...]]]] = {}
        super().__init__()

    def time(self) -> float:
        return self.now

    async def getaddrinfo(  # type: ignore[override]  # only the name matters to the tests
        self,
        host: str,
        port: object,  # noqa: ARG002 - part of the call
        **how: object,  # noqa: ARG002 - part of the call
    ) -> list[tuple[Any, ...]]:
        assert host not in self._answers, "asked twice at a time"
        answer: asyncio.Future[list[tuple[Any, ...]]] = self.create_future()
        self._answers[host] = answer
        self.asked.append(host)
        self.most_at_once = max(self.most_at_once, len(self.asked))
        try:
            return await answer
        finally:
            del self._answers[host]
            if host in self.asked:
                self.asked.remove(host)

    def answer(self, host: str, *found: tuple[Any, ...] | Exception) -> None:
        """Answer the lookup of `host` with entries of getaddrinfo, or an exception."""
        answer = self._answers[host]
        if found and isinstance(found[0], Exception):
            answer.set_exception(found[0])
        else:
            answer.set_result([entry for entry in found if isinstance(entry, tuple)])
        self.settle()

    def settle(self) -> None:
        """Run all that is due now."""
        for _ in range(10):
            self.call_soon(self.stop)
            self.run_forever()

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps that no timer of the tests' subjects falls through."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.05)
            self.settle()
