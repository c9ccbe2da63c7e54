"""pyproxy: a TLS-terminating reverse proxy that takes the place of nginx and certbot.

The map of the house. A module imports only from floors below its own; rooms on one floor do not
know each other. Every room's docstring is its sign: what lives there, and what it may import.

    __main__       the command `pyproxy`
    cli            one module for each command
    run            supervisor, workers, keeper, signals, reload, control socket: the assembly
    net            sockets: listeners, TLS, connections of clients and upstreams, tunnels, probes
    compiler       checked settings become a Program of sites, routes and ready-made bytes
    settings       the models of proxy.yaml: loading with line and column, units, rules, schema
    routing        host and path to a route; the Program that everything at run time reads
    policy         one file, one part: what may be done to a request on its way
    observe        access log, counters
    upstream       decisions without sockets: balancing, health, pools, retries
    certificates   keys and certificates at rest, the local CA, choice by name
    state          what the workers share in memory
    files          files at rest: finding one beneath a root, its representation, the cache
    wire           protocol machines, bytes to events and back, without I/O and without time
    exchange       the life of one request: its record, phases, errors, the proxy's own answers
    message        what HTTP means, whatever its version: heads, fields, targets, forwarding
    errors         every error: whose fault, which status, may it be tried again
    clock          the only importer of `time`

Load time (compiler, settings) and run time (net) never import each other: what is decided when
the file is read is not decided again for each request. The floors are contracts in
pyproject.toml, which import-linter holds, and tests/test_house.py holds the other rules.
"""

__version__ = "0.1.0"
