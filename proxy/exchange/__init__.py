"""The life of one request: its record, its phases, and the answers the proxy gives by itself.

May import: message, errors, clock.
"""
