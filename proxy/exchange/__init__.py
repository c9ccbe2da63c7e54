"""The life of one request: its record, its phases, its errors and the answers the proxy gives itself.

May import: message, errors, clock.
"""
