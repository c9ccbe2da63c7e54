"""Assembly: the supervisor, its workers and the keeper, reload, signals, the control socket.

The supervisor is plain: no event loop and no thread, so that forking stays safe. It alone keeps
the privileges it was started with. What comes to it from its children is JSON and is judged like
anything from outside; what goes to them may hold keys and stays in memory.

May import: net, compiler, settings, routing, policy, observe, upstream, certificates, state, wire,
exchange, message, errors, clock.
"""
