"""Host and path to a route, and the compiled Program that everything at run time reads.

May import: policy, upstream, files, exchange, message, errors, clock.
"""
