"""What routes do beside proxying: one file, one part. `order` is the only list of them.

A part is made at load from plain values and is finished then: a gate, edits to fields. Parts do not
know each other. To add one: write its file, put its name into `order`, build it in
`compiler.chain`, add it to the contract "policy-parts".

May import: observe, upstream, certificates, state, exchange, message, errors, clock.
"""
