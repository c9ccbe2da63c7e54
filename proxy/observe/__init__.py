"""What the proxy tells of its work: how a line of the access log and of the error log looks.

Lines are made from plain values; who writes them, and where to, is the business of other rooms.

May import: exchange, message, errors, clock.
"""
