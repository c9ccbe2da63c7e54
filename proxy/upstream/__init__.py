"""Decisions about upstreams, without sockets: balancing, health, the pool's choices, retry.

Everything here is told what happened and when, and answers what to do; `net` does it.

May import: exchange, message, errors, clock.
"""
