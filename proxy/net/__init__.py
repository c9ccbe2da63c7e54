"""Sockets and the event loop: listeners, TLS, client and upstream connections, pools, tunnels.

Everything here is callbacks on one loop in one thread of a worker. No task, future or timer is
made for an ordinary request; deadlines are numbers that one sweep a second looks at.

May import: routing, policy, observe, upstream, certificates, state, files, wire, exchange,
message, errors, clock.
"""
