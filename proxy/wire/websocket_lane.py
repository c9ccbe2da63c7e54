"""One direction of a WebSocket: frames pass as they are, and the proxy's own go in between.

Of a frame only its head is read (RFC 6455, 5.2): where it ends, and whether it is a close frame, is
all that is needed to say something at a border between two frames. So extensions such as
permessage-deflate stay what the ends agreed on.
"""

from wsproto.frame_protocol import CloseReason

_CLOSE, _PING, _PONG = 8, 9, 10
_FIN = 0x80
_WHOLE = (0x81, 0x82)  # what most messages are: text or bytes in one frame
_SHORT = 125  # bytes of the longest payload whose length stands in the second byte
_PARTIAL, _WRONG = -1, -2


class Lane:
    """Carries bytes from their source to their sink.

    A *watched* lane hands on every byte at once, and what is no WebSocket as well: it only cannot
    say anything there any more. A *strict* one keeps the head of a frame until it is whole, and a
    pong: it takes answers to the proxy's own pings out, and stops at what breaks a rule.

    Attributes:
        closed: The source has sent a close frame, or the head of one.
        shut: The sink has been sent a close frame of ours: nothing else goes there.
        pinged: A ping of the source's went through. For the owner to reset. Strict lanes only.
        fault: Why a strict lane goes no further: 1002 or 1009.
        lost: What comes is not, or no longer, a WebSocket's.
        news: One of the above but `shut` has changed. For the owner to reset.
    """

    __slots__ = (
        "_body",
        "_head",
        "_in_message",
        "_kind",
        "_last",
        "_left",
        "_limit",
        "_mask",
        "_message",
        "_own",
        "_skip",
        "_strict",
        "_waiting",
        "closed",
        "fault",
        "lost",
        "news",
        "pinged",
        "shut",
    )

    def __init__(self, *, masked: bool, limit: int = 0, own: bytes = b"") -> None:
        """Begin behind the handshake.

        Args:
            masked: True for what a client sends (RFC 6455, 5.1).
            limit: Payload bytes a message may have, all its frames together; 0 for no limit.
            own: Payload of the proxy's own pings, whose answers go no further; b"" for none.
        """
        self._mask = 0x80 if masked else 0
        self._skip = 6 if masked else 2
        self._limit = limit
        self._own = own
        self._strict = bool(limit or own)
        self._head = b""  # the beginning of a frame whose head is not whole
        self._left = 0  # bytes of the running frame that have not come
        self._in_message = False
        self._message = 0  # bytes of the running message
        self._kind = 0  # of the frame whose head was read last, and where its payload begins
        self._body = 0
        self._waiting = b""  # a frame of ours that waits for a border
        self._last = False  # and is a close frame
        self.closed = False
        self.shut = False
        self.pinged = False
        self.fault: CloseReason | None = None
        self.lost = False
        self.news = False

    @property
    def at_border(self) -> bool:
        """True when the sink has been sent whole frames only."""
        if self.fault is not None:
            return True
        return not (self.lost or self._left or (self._head and not self._strict))

    def push(self, data: bytes) -> bytes:
        """Take bytes from the source; return what goes to the sink."""
        if self.shut or self.fault is not None:
            self._follow(data)
            return b""
        if self.closed or self.lost:
            return data
        if self._strict or self._waiting:
            return self._sift(data)
        self._follow(data)
        return data

    def say(self, frame: bytes, *, last: bool = False) -> bytes:
        """Have a control frame of ours sent to the sink; return what goes there now.

        It waits for the next border if need be. `last` says that it is a close frame, in whose
        place nothing else waits. Where a close frame passed already, nothing is said.
        """
        if self.shut or (self.fault is None and (self.closed or self.lost)):
            return b""
        if self.at_border:
            self.shut = last
            return frame
        if last or not self._last:
            self._waiting = frame
            self._last = last
        return b""

    def _follow(self, data: bytes) -> None:
        """Keep track of where frames end."""
        if self.closed or self.lost:
            return
        at = self._left
        size = len(data)
        if size <= at:
            self._left = at - size
            return
        if self._head:
            data = self._head + data
            size = len(data)
            self._head = b""
        skip, mask, in_message = self._skip, self._mask, self._in_message
        while at + skip <= size:
            first = data[at] & 0x8F
            length = data[at + 1] ^ mask
            if first in _WHOLE and length <= _SHORT and not in_message:
                at += skip + length
                continue
            end = self._step(data, at)
            if end < 0:
                if end == _WRONG:
                    self.lost = self.news = True
                    self._left = 0
                    return
                break
            if self._kind == _CLOSE:
                self.closed = self.news = True
                return
            in_message = self._in_message
            at = end
        if at < size:
            self._head = data[at:]
            self._left = 0
        else:
            self._left = at - size

    def _step(self, data: bytes, at: int) -> int:
        """Read the head of a frame; return where the frame ends, or why that is not known."""
        size = len(data)
        if at + 2 > size:
            return _PARTIAL
        first = data[at]
        length = short = data[at + 1] ^ self._mask
        if short > 127:  # masked what must not be, or the other way round
            return _WRONG
        body = at + self._skip
        if body > size:
            return _PARTIAL
        if short > _SHORT:
            width = 2 if short == 126 else 8
            body += width
            if body > size:
                return _PARTIAL
            length = int.from_bytes(data[at + 2 : at + 2 + width])
        kind = first & 0x0F
        if kind >= _CLOSE:
            if kind > _PONG or not first & _FIN or short > _SHORT:
                return _WRONG
        elif kind > 2 or self._in_message is (kind != 0) or length >> 63:
            return _WRONG
        else:
            self._in_message = not first & _FIN
        self._kind = kind
        self._body = body
        return body + length

    def _sift(self, data: bytes) -> bytes:
        """Look at frame after frame, and change what has to be changed."""
        left = self._left
        if left >= len(data) and not (left == len(data) and self._waiting):
            self._left = left - len(data)
            return data
        held, self._head = self._head, b""
        self._left = 0
        data = held + data
        out: list[bytes] = []
        done = 0 if self._strict else len(held)  # so far, bytes are out or are to be left out
        at = left
        while True:
            if self._waiting and at >= done:
                out += (data[done:at], self._waiting)
                done = at
                self._waiting = b""
                if self._last:
                    self.shut = True
                    self._follow(data[at:])
                    return b"".join(out)
            end = self._step(data, at) if at < len(data) else _PARTIAL
            if end < 0 or (self._strict and self._stops(data, end)):
                out.append(self._rest(data, done, at, end))
                break
            if self._kind == _PONG and self._is_own(data, end):
                out.append(data[done:at])
                done = end
            elif self._kind == _CLOSE:
                self.closed = self.news = True
                out.append(data[done:])
                break
            if end > len(data):
                self._left = end - len(data)
                out.append(data[done:])
                break
            at = end
        return b"".join(out)

    def _stops(self, data: bytes, end: int) -> bool:
        """Say whether a frame cannot go through, now or ever."""
        kind = self._kind
        if kind == _PONG:
            return end > len(data) and bool(self._own)
        if kind == _PING:
            self.pinged = self.news = True
        elif kind < _CLOSE and self._limit:
            self._message = end - self._body + (0 if kind else self._message)
            if self._message > self._limit:
                self.fault = CloseReason.MESSAGE_TOO_BIG
                self.news = True
                return True
        return False

    def _rest(self, data: bytes, done: int, at: int, end: int) -> bytes:
        """Return what may go out before a frame that cannot, and remember the rest."""
        if end == _WRONG:
            self.lost = self.news = True
            if self._strict:
                self.fault = CloseReason.PROTOCOL_ERROR
        elif self.fault is not None:
            self._left = end - len(data) if end > len(data) else 0
            if end < len(data):
                self._follow(data[end:])
        else:
            self._head = data[at:]
        return data[done:at] if self._strict else data[done:]

    def _is_own(self, data: bytes, end: int) -> bool:
        """Say whether a whole pong answers a ping of ours."""
        own = self._own
        body = self._body
        if not own or end - body != len(own):
            return False
        payload = data[body:end]
        if not self._mask:
            return payload == own
        key = data[body - 4 : body] * (len(own) // 4 + 1)
        return bytes(map(int.__xor__, payload, key)) == own
