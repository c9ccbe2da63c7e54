"""Two upstreams, one of them over TLS, and one proxy for each module of these journeys."""

import ssl
from collections.abc import Iterator

import pytest
import trustme

from tests.journeys.apps.running import proxying
from tests.journeys.apps.scripted import ScriptedUpstream, scripted
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import RunningProxy, free_port

CONFIG = """
user: null
log: {access: {format: json}, error: {level: debug}}
timeouts: {request_header: 2s, body_idle: 2s, keep_alive: 2s, write_idle: 2s}
limits: {body: 1MB}
upstreams:
  scripted: {servers: ["http://127.0.0.1:${SCRIPTED}"], timeouts: {response: 2s, idle: 2s}}
  streamed: {servers: ["http://127.0.0.1:${SCRIPTED}"], buffering: off}
  secure: {servers: ["https://127.0.0.1:${SECURE}"], tls: {ca_file: "${CA}"}}
  distrusted: {servers: ["https://127.0.0.1:${SECURE}"], hold: off}
  absent: {servers: ["http://127.0.0.1:${ABSENT}"], hold: off}
  awaited: {servers: ["http://127.0.0.1:${ABSENT}"], hold: 1s}
  single: {servers: ["http://127.0.0.1:${SCRIPTED}"], max_connections: 1, queue_timeout: 1s}
  nameless: {servers: ["http://no.such.host.invalid"], hold: off}
sites:
  - hosts: [localhost]
    headers: {X-Site: mine}
    routes:
      - {path: /, proxy: scripted}
      - {path: /small/, proxy: scripted, limits: {body: 10KB}}
      - {path: /streamed/, proxy: streamed}
      - {path: /streamed/small/, proxy: streamed, limits: {body: 10KB}}
      - {path: /secure/, proxy: secure}
      - {path: /distrusted/, proxy: distrusted}
      - {path: /absent/, proxy: absent}
      - {path: /awaited/, proxy: awaited}
      - {path: /single/, proxy: single}
      - {path: /nameless/, proxy: nameless}
      - {path: /taken, respond: {body: taken}}
      - {path: /only-get/, methods: [GET], respond: {body: got}}
  - {hosts: [posts.test], routes: [{path: /a, methods: [POST], proxy: scripted}]}
"""


@pytest.fixture(scope="module")
def _authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def _upstreams(_authority: trustme.CA) -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority.issue_cert("127.0.0.1").configure_cert(context)
    with scripted() as plain, scripted(context) as secure:
        yield plain, secure


@pytest.fixture
def upstream(_upstreams: tuple[ScriptedUpstream, ScriptedUpstream]) -> ScriptedUpstream:
    for each in _upstreams:
        each.begin()
    return _upstreams[0]


@pytest.fixture
def secure(_upstreams: tuple[ScriptedUpstream, ScriptedUpstream]) -> ScriptedUpstream:
    for each in _upstreams:
        each.begin()
    return _upstreams[1]


@pytest.fixture(scope="module")
def proxy(
    _upstreams: tuple[ScriptedUpstream, ScriptedUpstream],
    _authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("errors")
    ca_file = folder / "upstream-ca.pem"
    _authority.cert_pem.write_to_path(ca_file)
    plain, secure = _upstreams
    with proxying(
        CONFIG, folder, SCRIPTED=plain.port, SECURE=secure.port, CA=str(ca_file), ABSENT=free_port()
    ) as running:
        yield running


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy) as client:
        yield client
