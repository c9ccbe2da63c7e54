"""What routes do beside proxying: one file, one part. `order` is the only list of them.

A part is made at load from plain values and is finished then: a gate, edits to fields, a shape, an
encoding (see `part`). Parts do not know each other. To add one: write its file, put its name into
`order` and into the contract "policy-parts"; compile its settings to it in a module of its own in
`compiler`, and list that in `compiler.policies`; say in `compiler.describe` what it is called.

May import: state, exchange, message, errors, clock.
"""
