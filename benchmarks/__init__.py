"""The rig that measures pyproxy beside nginx, HAProxy and Caddy, doing the same work in one run.

`python -m benchmarks` writes a table, a JSON file and an SVG plot; `python -m benchmarks.scenarios`
puts a proxy through the bad days: reloads, killed workers, restarted upstreams, slow peers.
README.md beside this file says how it measures and what the figures do not show.

May import: nothing of `proxy`, which is started as its users start it, as a command; but for
`checks`, which measures policies within its own process.
"""
