"""What HTTP means, whatever its version: heads, fields, targets, authorities, forwarding rules.

Plain values and pure functions. A field block, the shape in which fields travel through the
proxy, is a run of `Name: value` lines, each ended by CRLF, that has passed the strict grammar of
RFC 9112 (or was built from parts that HTTP/2 validated): no bare CR, LF or NUL, no folding.

May import: errors, clock.
"""
