"""The servers that are compared: how each is configured for the same work, and how it is started.

May import: stage, running and client of this package.
"""
