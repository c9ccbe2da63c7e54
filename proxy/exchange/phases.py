"""The phases of an exchange, in order. The highest one reached stands in the log."""

from enum import IntEnum


class Phase(IntEnum):
    """How far a request came."""

    HEAD = 0  # its head was read
    ROUTED = 1  # a site and a route were found
    GATES = 2  # the route's gates let it in
    QUEUED = 3  # it waits for a server or a connection
    SENT = 4  # its head went to an upstream
    ANSWERED = 5  # the answer's head went to the client
    FINISHED = 6  # the answer ended, one way or the other
