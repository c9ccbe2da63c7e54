"""Host and path to a route, and the compiled Program that everything at run time reads.

May import: policy, upstream, exchange, message, errors, clock.
"""
