import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from proxy.run import member
from proxy.run.link import Link, Message, into_memory, pair
from proxy.run.member import Member


class Crew:
    """A member, the supervisor's end of its link, and what the member noticed."""

    def __init__(self) -> None:
        self.supervisor, self.link = pair()
        self.orders: list[Message] = []
        self.content: list[bytes] = []
        self.alone = 0
        self.member = Member(self.link, self.obey, self.left_alone)

    def obey(self, message: Message, descriptors: list[int]) -> None:
        self.orders.append(message)
        self.content += [os.pread(handle, 100, 0) for handle in descriptors]

    def left_alone(self) -> None:
        self.alone += 1

    def heard(self) -> list[Message]:
        return list(everything(self.supervisor))


def everything(link: Link) -> list[Message]:
    found = []
    while (received := link.receive()) is not None:
        found.append(received.message)
    return found


@pytest.fixture
async def crew() -> AsyncIterator[Crew]:
    made = Crew()
    yield made
    made.member.leave()
    made.supervisor.close()
    made.link.close()


async def turns() -> None:
    """Let the loop look at its descriptors."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_orders_come_with_their_content(crew: Crew) -> None:
    handle = into_memory(b"content")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number counts
    crew.supervisor.send({"do": "prepare"}, (handle,))
    crew.supervisor.send({"do": "commit"})
    await turns()
    assert crew.orders == [{"do": "prepare"}, {"do": "commit"}]
    assert crew.content == [b"content"]
    assert len(os.listdir("/proc/self/fd")) == before, "closed when the order was obeyed"  # noqa: PTH208 - only their number counts
    os.close(handle)


async def test_signs_of_life_go_on_until_it_leaves(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "BEAT", 0.0)
    crew.member.begin_to_beat()
    await turns()
    assert len(crew.heard()) > 1
    crew.member.leave()
    crew.heard()
    await turns()
    assert crew.heard() == []


async def test_the_end_of_the_supervisor_is_noticed_once(crew: Crew) -> None:
    crew.member.begin_to_beat()
    crew.supervisor.close()
    await turns()
    assert crew.alone == 1
    crew.member.tell({"is": "beat"})
    await turns()
    assert crew.alone == 1


async def test_what_cannot_be_sent_is_lost_and_nothing_else(crew: Crew) -> None:
    crew.member.tell({"is": "x" * 10_000_000})
    for _ in range(10_000):
        crew.member.tell({"is": "beat"})
    await turns()
    assert crew.alone == 0
    assert crew.heard()
