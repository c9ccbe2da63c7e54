"""One upstream and one proxy for each module of these journeys."""

from collections.abc import Iterator

import pytest

from tests.journeys.apps.running import proxying
from tests.journeys.apps.scripted import ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import RunningProxy

CONFIG = """
user: null
headers: {X-File: of the file}
upstreams:
  scripted: {servers: ["http://127.0.0.1:${SCRIPTED}"]}
  streamed: {servers: ["http://127.0.0.1:${SCRIPTED}"], buffering: off}
sites:
  - hosts: [localhost]
    headers: {X-Site: of the site}
    routes:
      - {path: /, proxy: scripted}
      - {path: /streamed/, proxy: streamed}
      - {path: /cut/, proxy: scripted, strip_prefix: true}
      - {path: /old/, redirect: {to: /new/, status: 308}}
      - {path: /moved/, redirect: {to: "https://other.test{uri}", status: 301}}
      - {path: /ping, respond: {body: pong}}
      - {path: /posts, methods: [POST], proxy: scripted}
      - path: /edited/
        proxy: scripted
        request_headers: {X-Env: production, User-Agent: null, X-Twice: once}
        response_headers: {X-Powered-By: null, Server: pyproxy, X-Site: of the route}
  - {hosts: ["*.wild.test"], routes: [{path: /, respond: {body: wild}}]}
  - {hosts: [open.test], redirect_http: off, routes: [{path: /, proxy: scripted}]}
  - {hosts: [plain.test], tls: off, routes: [{path: /, proxy: scripted}]}
"""


@pytest.fixture(scope="module")
def proxy(
    _upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("http1")
    with proxying(CONFIG, folder, SCRIPTED=_upstream.port) as running:
        yield running


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy) as client:
        yield client
