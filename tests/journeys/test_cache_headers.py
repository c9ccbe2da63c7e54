"""`cache:` on proxied routes: what curl, and so a browser, is told of how long answers may stay."""

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest

from tests.journeys.apps.running import proxying, serving
from tests.journeys.clients.curl import curl
from tests.journeys.running import RunningProxy

pytestmark = pytest.mark.needs("curl")

CONFIG = """
user: null
upstreams:
  app: {servers: ["http://127.0.0.1:${APP}"]}
  absent: {servers: ["http://127.0.0.1:1"], hold: off}
sites:
  - hosts: [localhost]
    redirect_http: off
    routes:
      - {path: /, proxy: app}
      - {path: /static/, proxy: app, cache: {age: 1y, immutable: on}}
      - {path: /month/, proxy: app, cache: 30d}
      - {path: /never/, proxy: app, cache: no-store}
      - {path: /again/, proxy: app, cache: no-cache}
      - {path: /mine/, proxy: app, cache: 30d, response_headers: {Cache-Control: "max-age=1"}}
      - {path: /absent/, proxy: absent, cache: 30d}
      - {path: /files/, files: "${STATIC}", cache: {age: 1y, immutable: on}}
"""
MONTH = 30 * 86400


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("cache")
    static = folder / "static"
    static.mkdir()
    for name in ("index-BxY12abc.js", "base.27e20196a850.css", "jquery-3.7.1.min.js"):
        (static / name).write_text(f"/* {name} */\n" * 100)
    command = ["uvicorn", "tests.journeys.apps.saying:application", "--port", "{port}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATIC", str(static))
        with (
            serving(command, folder) as app,
            proxying(CONFIG, folder, APP=app.port, STATIC=str(static)) as running,
        ):
            yield running


def path_of(route: str, *headers: str, status: int = 200) -> str:
    """A path beneath a route that the application answers with these fields."""
    said = "".join(f"&header={quote(header)}" for header in headers)
    return f"{route}x?status={status}{said}"


def field(head: str, name: str) -> str | None:
    """The one value of a field, None where there is none."""
    found = re.findall(rf"(?im)^{name}: *([^\r\n]*)", head)
    assert len(found) < 2, f"{name} came {len(found)} times"
    return found[0] if found else None


def kept_for(head: str) -> float:
    """Seconds from an answer's Date to its Expires."""
    date, expires = field(head, "date"), field(head, "expires")
    assert date is not None
    assert expires is not None
    return (parsedate_to_datetime(expires) - parsedate_to_datetime(date)).total_seconds()


@pytest.mark.parametrize(
    "said",
    [
        (),
        ("Cache-Control: public, max-age=60", "Expires: Thu, 01 Jan 1970 00:00:00 GMT"),
        ("cache-control: max-age=0", "Pragma: no-cache"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--head",)])
def test_an_answer_may_be_kept(
    proxy: RunningProxy, said: tuple[str, ...], options: tuple[str, ...]
) -> None:
    done = curl(proxy, path_of("/month/", *said), *options)
    assert field(done.head, "cache-control") == "max-age=2592000"
    assert kept_for(done.head) == pytest.approx(MONTH, abs=2)
    assert field(done.head, "pragma") is None
    assert field(done.head, "strict-transport-security") == "max-age=63072000"


def test_it_goes_on_while_seconds_pass(proxy: RunningProxy) -> None:
    """The same answer, again and again on one connection: it is reckoned anew each second."""
    port = proxy.https_port
    again = [f"https://localhost:{port}{path_of('/month/')}" for _ in range(30)]
    done = curl(proxy, path_of("/month/"), "--rate", "25/s", *again)
    heads = done.head.split("\r\n\r\n")[:-1]
    assert len(heads) == 31
    assert len({field(head, "expires") for head in heads}) > 1
    for head in heads:
        assert kept_for(head) == pytest.approx(MONTH, abs=2)
        assert field(head, "cache-control") == "max-age=2592000"
    assert done.body == b"said by the application\n" * 31


@pytest.mark.parametrize("word", ["no-store", "private", "no-cache, must-revalidate"])
def test_what_the_application_forbids_stays_forbidden(proxy: RunningProxy, word: str) -> None:
    done = curl(proxy, path_of("/month/", f"Cache-Control: {word}", "Expires: 0"))
    assert field(done.head, "cache-control") == word
    assert field(done.head, "expires") == "0"


def test_a_session_is_not_kept_where_others_could_get_it(proxy: RunningProxy) -> None:
    done = curl(proxy, path_of("/month/", "Set-Cookie: sessionid=abc; HttpOnly"))
    assert field(done.head, "set-cookie") == "sessionid=abc; HttpOnly"
    assert field(done.head, "cache-control") == "private, max-age=2592000"
    assert field(done.head, "expires") is None


@pytest.mark.parametrize("status", [302, 307, 404, 403, 500, 503])
def test_what_changes_is_not_kept(proxy: RunningProxy, status: int) -> None:
    done = curl(proxy, path_of("/month/", "Location: /login", status=status))
    assert done.head.startswith(f"HTTP/1.1 {status} ")
    assert field(done.head, "cache-control") is None
    assert field(done.head, "expires") is None


def test_an_answer_to_a_post_is_not_kept(proxy: RunningProxy) -> None:
    done = curl(proxy, path_of("/month/"), "--data-binary", "@-", data=b"x")
    assert field(done.head, "cache-control") is None


def test_an_error_of_the_proxys_own_is_not_kept(proxy: RunningProxy) -> None:
    done = curl(proxy, "/absent/")
    assert done.head.startswith("HTTP/1.1 502 ")
    assert field(done.head, "cache-control") == "no-store"
    assert field(done.head, "expires") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("index-BxY12abc.js", "max-age=31536000, immutable"),
        ("base.27e20196a850.css", "max-age=31536000, immutable"),
        ("jquery-3.7.1.min.js", "max-age=31536000"),
    ],
)
@pytest.mark.parametrize("route", ["/static/", "/files/"])
def test_files_of_an_application_and_files_of_ours(
    proxy: RunningProxy, name: str, expected: str, route: str
) -> None:
    done = curl(proxy, f"{route}{name}?v=1")
    assert done.body.startswith(f"/* {name} */".encode())
    assert field(done.head, "cache-control") == expected
    etag = field(done.head, "etag")
    again = curl(proxy, f"{route}{name}", "-H", f"If-None-Match: {etag}")
    assert again.head.startswith("HTTP/1.1 304 ")
    assert field(again.head, "cache-control") == expected, "RFC 9110, 15.4.5"
    part = curl(proxy, f"{route}{name}", "--range", "3-5")
    assert part.head.startswith("HTTP/1.1 206 ")
    assert part.body == name[:3].encode()
    assert field(part.head, "cache-control") == expected


def test_a_page_is_not_kept_as_the_script_it_stands_in_for(proxy: RunningProxy) -> None:
    """Single-page applications answer any path with their page, that of a new script too."""
    said = "status=200&header=Content-Type:text/html"
    done = curl(proxy, f"/month/index-BxY12abc.js?{said}")
    assert field(done.head, "cache-control") is None
    assert field(done.head, "expires") is None
    done = curl(proxy, f"/month/somewhere?{said}")
    assert field(done.head, "cache-control") == "max-age=2592000"


def test_a_file_that_is_missing_is_not_kept_as_missing(proxy: RunningProxy) -> None:
    done = curl(proxy, "/files/main.3f2a1b9c.js")
    assert done.head.startswith("HTTP/1.1 404 ")
    assert field(done.head, "cache-control") == "no-store"


@pytest.mark.parametrize("status", [200, 302, 404, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_words_hold_whatever_the_answer(proxy: RunningProxy, status: int, method: str) -> None:
    said = ("Cache-Control: public, max-age=9", "Expires: Tue, 01 Jan 2030 00:00:00 GMT")
    for route, word in (("/never/", "no-store"), ("/again/", "no-cache")):
        done = curl(proxy, path_of(route, *said, status=status), "-X", method)
        assert field(done.head, "cache-control") == word
        assert field(done.head, "expires") is None


def test_a_header_given_by_name_has_the_last_word(proxy: RunningProxy) -> None:
    done = curl(proxy, path_of("/mine/"))
    assert field(done.head, "cache-control") == "max-age=1"
    assert field(done.head, "expires") is None


def test_a_route_without_cache_changes_nothing(proxy: RunningProxy) -> None:
    done = curl(proxy, path_of("/", "Cache-Control: public", "Expires: 0", "Pragma: x"))
    assert field(done.head, "cache-control") == "public"
    assert field(done.head, "expires") == "0"
    assert field(done.head, "pragma") == "x"
