"""proxy.yaml's checked models to a Program: tables, chains of callables, ready-made bytes.

Runs once for each configuration, in the checking child and in every worker, and is pure: the same
settings and certificates give an equal program.

May import: settings, routing, policy, upstream, state, exchange, message, errors, clock.
"""
