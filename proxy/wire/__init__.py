"""Protocol machines: bytes in, events out, and back. No I/O, no time, no policy.

A machine is fed with `receive` and asked with `next_event` until it answers None; what it raises
is `ProxyError` and nothing else, whatever the bytes. HTTP/1.1 has two halves: a strict, fast
grammar that may only ever say yes, and h11, which reads behind a guard what the grammar does not
cover and whose reading is written out afresh.

May import: message, errors.
"""
