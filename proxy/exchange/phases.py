"""The phases of an exchange, in order. The highest one reached stands in the log."""

from enum import IntEnum


class Phase(IntEnum):
    """How far a request came."""

    HEAD = 0  # its head was read
    ROUTED = 1  # a site and a route were found
    QUEUED = 2  # its gates let it in; it waits for its body, a server or a connection
    SENT = 3  # its head went to an upstream
    ANSWERED = 4  # the answer's head went to the client
    FINISHED = 5  # the answer ended, one way or the other
