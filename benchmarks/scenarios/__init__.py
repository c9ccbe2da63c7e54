"""The bad days: reloads, killed workers, restarted upstreams, slow peers, many idle clients.

`python -m benchmarks.scenarios` plays them on real processes and counts what a client would notice.

May import: everything of `benchmarks`.
"""
