"""The configuration: models of `proxy.yaml`, loading with places, rules, JSON Schema.

`load.load` is the way in: a file becomes frozen, checked `models.Settings`, or a `SettingsError`
that tells every mistake with its place. Nothing that serves requests reads these models; the
compiler turns them into a Program.

May import: policy, observe, message, errors.
"""
