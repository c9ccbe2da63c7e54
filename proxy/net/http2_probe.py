"""One question to an upstream in HTTP/2, for active health."""

import asyncio

from proxy.wire.http2_client import End, Head, Http2Client, Lost


async def judge_http2(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    raw: bytes,
    *,
    secure: bool,
    expect: int,
    most: int,
) -> str:
    """Ask, and return "" for a good answer, else what is wrong.

    Args:
        reader: Of a new connection.
        writer: Of the same.
        raw: The question's head, as in HTTP/1.1.
        secure: Whether TLS is in between.
        expect: The status of a good answer.
        most: Bytes that are read; a longer answer with the right head is a good one.

    Raises:
        BadResponseError: What comes is not HTTP/2.
    """
    machine = Http2Client(secure=secure)
    asked = False
    right = False
    taken = 0
    while taken < most:
        if machine.room and machine.settled and not asked:
            asked = True
            machine.request(raw, ended=True)
        writer.write(machine.take())
        data = await reader.read(most)
        if not data:
            return "closed before the end of its answer"
        taken += len(data)
        for told in machine.receive(data):
            if isinstance(told, Lost):
                return told.error.detail
            if isinstance(told, Head) and told.head.status >= 200:
                if told.head.status != expect:
                    return f"status {told.head.status} instead of {expect}"
                right = True
            if isinstance(told, End) or (isinstance(told, Head) and told.ended):
                return ""
    return "" if right else "no answer"
