"""proxy.yaml's checked models to a Program: tables, chains of callables, ready-made bytes.

Runs once for each configuration, in the checking child and in every worker, and is pure: the same
settings and certificates give an equal program, whose parts it shares (`kept_once`).

May import: settings, routing, policy, upstream, state, files, exchange, message, errors,
clock.
"""
