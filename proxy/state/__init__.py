"""What workers share: counters, connection counts and health, in memory inherited by fork.

Every figure has one writer, so that nothing is ever locked; every table has a fixed size.

May import: errors, clock.
"""
