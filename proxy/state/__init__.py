"""What workers share: counters, counts, health, token buckets, in memory inherited by fork.

Every table has a fixed size. Every figure has one writer, so that nothing need be locked, but for
the buckets of rate limits, whose locks no dead process can keep.

May import: message, errors, clock.
"""
