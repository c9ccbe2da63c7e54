"""Certificates at rest: reading and checking pairs, the local CA, choice by server name.

Files and values only: nothing here speaks TLS or knows an event loop.

May import: errors, clock.
"""
