"""Static files, as browsers, curl and download managers ask for them."""

import gzip
import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.parser import BytesParser
from pathlib import Path

import brotli
import httpx
import pytest

from tests.journeys.apps.running import proxying
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import CutShortError, RawClient, tls_context
from tests.journeys.running import PATIENCE, RunningProxy, children_of, eventually

CONFIG = """
user: null
sites:
  - hosts: [localhost]
    redirect_http: off
    compress: on
    routes:
      - {path: /, respond: {body: the application}}
      - {path: /static/, files: "${ROOT}", cache: 1y}
      - {path: /static/form, methods: [POST], respond: {body: posted}}
      - {path: /app/, files: "${ROOT}/app", fallback: index.html}
      - {path: /robots.txt, files: "${ROOT}/robots.txt"}
      - {path: /links/, files: {root: "${ROOT}/links", symlinks: on}, cache: no-store}
      - {path: /bare/, files: {root: "${ROOT}", index: off, precompressed: off}, compress: off}
      - {path: /mounted/, files: "${ROOT}/mounted"}
"""
MEGABYTE = 1024 * 1024
LARGE = 5 * MEGABYTE
HUGE = 500 * MEGABYTE
GROWTH = 3 * MEGABYTE
"""Most that a worker may take for one slow client: what waits for it, and the heap's own."""

CONTENT = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(LARGE // 32))
STYLE = b"body { color: rebeccapurple }\n" * 400
OLD = 1_700_000_000


def put(path: Path, content: bytes, when: float = OLD) -> None:
    """Write a file, all at once, as those who publish files do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + "~")
    draft.write_bytes(content)
    os.utime(draft, (when, when))
    draft.replace(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("www") / "root"
    put(root / "index.html", b"<h1>first page</h1>")
    put(root / "sub/index.html", b"<h1>sub</h1>")
    put(root / "style.css", STYLE)
    put(root / "ready.js", b"ready()\n" * 500)
    put(root / "ready.js.br", brotli.compress(b"ready()\n" * 500))
    put(root / "ready.js.gz", gzip.compress(b"ready()\n" * 500, mtime=0))
    put(root / "large.bin", CONTENT)
    put(root / "app/index.html", b"<div id=app></div>")
    put(root / "app/main.js", b"start()")
    put(root / "robots.txt", b"User-agent: *\n")
    put(root / ".env", b"SECRET=1")
    put(root.parent / "secret", b"secret")
    (root / "links").mkdir()
    (root / "links/out").symlink_to("../../secret")
    (root / "out").symlink_to("../secret")
    (root / "in").symlink_to("style.css")
    with (root / "huge.bin").open("wb") as huge:
        huge.truncate(HUGE)
    return root


@pytest.fixture(scope="module")
def proxy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    with proxying(CONFIG, tmp_path_factory.mktemp("files"), ROOT=str(root)) as running:
        yield running


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"https://localhost:{proxy.https_port}",
        verify=tls_context(proxy.ca_file),
        timeout=PATIENCE,
        trust_env=False,
    ) as client:
        yield client


def get(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return client.get(path, headers={"Accept-Encoding": "identity", **fields})


def test_a_file_is_served(client: httpx.Client) -> None:
    answer = get(client, "/static/style.css?v=2")
    assert answer.status_code == 200
    assert answer.content == STYLE
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "max-age=31536000"
    assert "expires" in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"].startswith('"')


def test_head_tells_the_same_of_it(client: httpx.Client) -> None:
    for path in ("/static/style.css", "/static/large.bin"):
        got = get(client, path)
        told = client.head(path, headers={"Accept-Encoding": "identity"})
        for answer in (got, told):
            del answer.headers["date"], answer.headers["expires"]
        assert told.headers == got.headers
        assert told.content == b""


def test_folders(client: httpx.Client) -> None:
    assert get(client, "/static/sub/").text == "<h1>sub</h1>"
    answer = get(client, "/static/sub?a=b")
    assert answer.status_code == 301
    assert answer.headers["location"] == "/static/sub/?a=b"
    assert get(client, "/static/links/").status_code == 404
    assert get(client, "/bare/sub/").status_code == 404
    assert get(client, "/robots.txt").text == "User-agent: *\n"


def test_nothing_is_not_to_be_kept(client: httpx.Client) -> None:
    answer = get(client, "/static/nothing.css")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/static/style.css")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_path_is_shared_by_methods(client: httpx.Client) -> None:
    assert client.post("/static/form").text == "posted"
    assert client.delete("/static/form").headers["allow"] == "GET, HEAD, POST"
    assert get(client, "/static/form").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/static/.env", "/static/out", "/static/links/out", "/static/%2e%2e%5csecret",
        "/static/..%5c..%5csecret", "/static/style.css/", "/static/style.css%20",
        "/static/" + "x" * 4000, "/static/%ff%fe", "/static/sub%2f%2eenv",
    ],
)  # fmt: skip
def test_what_is_not_to_be_seen_is_404(proxy: RunningProxy, path: str) -> None:
    with RawClient(proxy) as raw:
        answer = raw.ask(f"GET {path}")
        assert answer.status == 404
        assert b"secret" not in answer.body.lower()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret", "/static/%2e%2e/secret", "/static/..%2fsecret", "/static/%2E./secret",
        "/static/./style.css", "/static/\\..\\secret", "/static/style.css%00.html", "/static/%",
    ],
)  # fmt: skip
def test_paths_that_climb_are_refused(proxy: RunningProxy, path: str) -> None:
    with RawClient(proxy) as raw:
        answer = raw.ask(f"GET {path}")
        assert answer.status == 400
        assert b"secret" not in answer.body.lower()


def test_links_lead_out_where_they_may(client: httpx.Client) -> None:
    assert get(client, "/links/out").text == "secret"
    assert get(client, "/links/out").headers["cache-control"] == "no-store"
    assert get(client, "/static/in").content == STYLE


def test_a_single_page_application(client: httpx.Client) -> None:
    for path in ("/app/", "/app/users/5", "/app/deep/link?q=1"):
        answer = get(client, path)
        assert (answer.status_code, answer.text) == (200, "<div id=app></div>")
    assert get(client, "/app/users/5").headers["cache-control"] == "no-cache"
    assert get(client, "/app/main.js").text == "start()"
    tag = get(client, "/app/users/5").headers["etag"]
    assert get(client, "/app/users/6", **{"If-None-Match": tag}).status_code == 304


# Conditions and ranges.


def test_what_the_client_has_is_not_sent_again(client: httpx.Client) -> None:
    for path in ("/static/style.css", "/static/large.bin"):
        first = get(client, path)
        tag, modified = first.headers["etag"], first.headers["last-modified"]
        for fields in (
            {"If-None-Match": tag},
            {"If-None-Match": f'"other", W/{tag}'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": modified},
        ):
            answer = get(client, path, **fields)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == tag
            assert answer.headers["cache-control"] == "max-age=31536000"
            assert "content-length" not in answer.headers
        fields = {"If-None-Match": '"other"', "If-Modified-Since": modified}
        assert get(client, path, **fields).status_code == 200
        assert get(client, path, **{"If-Match": '"other"'}).status_code == 412
        assert get(client, path, **{"If-Match": tag}).status_code == 200


def test_curl_asks_again_with_its_tag(proxy: RunningProxy, tmp_path: Path) -> None:
    tags, file = str(tmp_path / "tag"), tmp_path / "file"
    first = curl(proxy, "/static/style.css", "--etag-save", tags, "-o", str(file))
    assert first.code == 0
    assert file.read_bytes() == STYLE
    again = curl(proxy, "/static/style.css", "--etag-compare", tags)
    assert "304" in again.head.split("\r\n")[0]
    dated = curl(proxy, "/static/style.css", "-z", "1 Jan 2024")
    assert "304" in dated.head.split("\r\n")[0]


@pytest.mark.parametrize("had", [1, 70_000, LARGE - 1])
def test_curl_goes_on_where_it_stopped(proxy: RunningProxy, tmp_path: Path, had: int) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(CONTENT[:had])
    done = curl(proxy, "/static/large.bin", "-C", "-", "-o", str(file))
    assert done.code == 0, done.errors
    assert "206" in done.head.split("\r\n")[0]
    assert file.read_bytes() == CONTENT


def test_one_range(client: httpx.Client) -> None:
    for path, whole in (("/static/style.css", STYLE), ("/static/large.bin", CONTENT)):
        size = len(whole)
        for asked, first, end in (
            ("0-0", 0, 1),
            ("100-199", 100, 200),
            ("-10", size - 10, size),
            (f"{size - 5}-{size + 5}", size - 5, size),
        ):
            answer = get(client, path, Range=f"bytes={asked}")
            assert answer.status_code == 206
            assert answer.content == whole[first:end]
            assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
        answer = get(client, path, Range=f"bytes={size}-")
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{size}"
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


def test_a_range_of_what_changed_is_all_of_it(client: httpx.Client) -> None:
    first = get(client, "/static/style.css")
    fields = {"Range": "bytes=0-9", "If-Range": first.headers["etag"]}
    assert get(client, "/static/style.css", **fields).status_code == 206
    fields["If-Range"] = first.headers["last-modified"]
    assert get(client, "/static/style.css", **fields).status_code == 206
    fields["If-Range"] = '"another"'
    assert get(client, "/static/style.css", **fields).status_code == 200


@pytest.mark.parametrize("name", ["style.css", "large.bin"])
def test_several_ranges(client: httpx.Client, name: str) -> None:
    whole = STYLE if name == "style.css" else CONTENT
    answer = get(client, f"/static/{name}", Range="bytes=1000-1009,0-4,-3")
    assert answer.status_code == 206
    kind = answer.headers["content-type"].encode()
    message = BytesParser().parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + answer.content)
    parts = message.get_payload()
    assert isinstance(parts, list)
    found = [
        (part["Content-Range"], part.get_payload(decode=True))
        for part in parts
        if not isinstance(part, str)
    ]
    size = len(whole)
    assert [where for where, _ in found] == [
        f"bytes 1000-1009/{size}",
        f"bytes 0-4/{size}",
        f"bytes {size - 3}-{size - 1}/{size}",
    ]
    if name == "style.css":  # the parser of mails is not made for bytes
        assert [body for _, body in found] == [whole[1000:1010], whole[:5], whole[-3:]]
    for piece in (whole[1000:1010], whole[:5], whole[-3:]):
        assert b"\r\n\r\n" + piece + b"\r\n--" in answer.content


def test_many_ranges_cost_no_more_than_the_file(client: httpx.Client) -> None:
    bomb = "bytes=" + ",".join(f"{number}-" for number in range(1000))
    assert get(client, "/static/large.bin", Range=bomb).status_code == 200
    overlapping = "bytes=" + ",".join(["0-"] * 20)
    answer = get(client, "/static/large.bin", Range=overlapping)
    assert answer.status_code == 206
    assert answer.content == CONTENT


# Content codings.


def test_a_neighbour_goes_out_in_place_of_the_file(client: httpx.Client) -> None:
    tags = set()
    for coding, size in (("br", None), ("gzip", None), ("identity", 4000)):
        with client.stream(
            "GET", "/static/ready.js", headers={"Accept-Encoding": coding}
        ) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers.get("content-encoding", "identity") == coding
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert int(answer.headers["content-length"]) == len(raw) == (size or len(raw))
        tags.add(answer.headers["etag"])
    assert len(tags) == 3
    assert all(tag.startswith('"') for tag in tags)
    answer = client.get("/bare/ready.js", headers={"Accept-Encoding": "br"})
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_what_has_no_neighbour_is_compressed(proxy: RunningProxy, coding: str) -> None:
    with RawClient(proxy) as raw:
        tag = ""
        for _ in range(3):
            answer = raw.ask("GET /static/style.css", f"Accept-Encoding: {coding}")
            tag = answer["etag"]
            assert answer["content-encoding"] == coding
            assert answer["vary"] == "Accept-Encoding"
            assert answer["etag"].startswith("W/")
            assert int(answer["content-length"]) == len(answer.body) < len(STYLE) / 10
        fields = f"Accept-Encoding: {coding}", f"If-None-Match: {tag}"
        assert raw.ask("GET /static/style.css", *fields).status == 304


def test_curl_takes_what_is_compressed(proxy: RunningProxy) -> None:
    assert curl(proxy, "/static/style.css", "--compressed").body == STYLE
    assert curl(proxy, "/static/ready.js", "--compressed").body == b"ready()\n" * 500


# Changes.


def test_changes_are_seen_within_a_second(client: httpx.Client, root: Path) -> None:
    path = root / "changing.txt"
    put(path, b"one", OLD)
    assert get(client, "/static/changing.txt").text == "one"
    for number in range(3):
        put(path, b"new %d" % number, OLD + 1 + number)
        changed = time.monotonic()
        eventually(
            lambda number=number: get(client, "/static/changing.txt").text == f"new {number}"  # type: ignore[misc]
        )
        assert time.monotonic() - changed < 3  # a second, and a busy machine
    path.unlink()
    eventually(lambda: get(client, "/static/changing.txt").status_code == 404)


def test_nobody_sees_half_a_file_for_long(client: httpx.Client, root: Path) -> None:
    path = root / "growing.txt"
    path.write_bytes(b"half of it")
    assert get(client, "/static/growing.txt").headers["etag"].startswith("W/")
    with path.open("ab") as file:
        file.write(b", and the rest")
    eventually(lambda: get(client, "/static/growing.txt").text == "half of it, and the rest")


def test_a_root_may_come_later(proxy: RunningProxy, client: httpx.Client, root: Path) -> None:
    assert get(client, "/mounted/file").status_code == 404
    eventually(lambda: "mounted is not there" in proxy.log())
    put(root / "mounted/file", b"mounted")
    assert get(client, "/mounted/file").text == "mounted"


# Large ones.


def memory(proxy: RunningProxy) -> int:
    """Return the bytes that the largest of the proxy's children has of its own."""
    sizes = []
    for pid in children_of(proxy.pid):
        pages = Path(f"/proc/{pid}/statm").read_text().split()
        sizes.append((int(pages[1]) - int(pages[2])) * 4096)
    return max(sizes)


@pytest.mark.parametrize("plain", [True, False], ids=["http", "https"])
def test_a_slow_reader_of_a_huge_file_takes_little(proxy: RunningProxy, plain: bool) -> None:  # noqa: FBT001 - a parameter
    with RawClient(proxy, plain=plain) as warm:
        assert len(warm.ask("GET /static/large.bin").body) == LARGE
    with RawClient(proxy, plain=plain, small=True) as raw, RawClient(proxy) as other:
        before = memory(proxy)
        raw.send(b"GET /static/huge.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.head()["content-length"] == str(HUGE)
        most = 0
        for _ in range(20):
            assert raw.read(MEGABYTE).count(0) == MEGABYTE
            time.sleep(0.01)
            most = max(most, memory(proxy))
            assert other.ask("GET /static/index.html").status == 200
        assert most - before < GROWTH


def test_a_huge_file_comes_whole(proxy: RunningProxy) -> None:
    done = curl(
        proxy, "/static/huge.bin", "-o", "/dev/null", "-w", "%{size_download}", scheme="http"
    )
    assert done.code == 0, done.errors
    assert done.body == str(HUGE).encode()


def test_many_download_at_a_time(proxy: RunningProxy) -> None:
    def download(number: int) -> bool:
        with RawClient(proxy, plain=number % 2 == 0) as raw:
            return raw.ask("GET /static/large.bin").body == CONTENT

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(download, range(48)))


def test_a_file_that_is_cut_is_cut_visibly(proxy: RunningProxy, root: Path) -> None:
    path = root / "cut.bin"
    path.write_bytes(bytes(50 * MEGABYTE))
    with RawClient(proxy, small=True) as raw:
        raw.send(b"GET /static/cut.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.head()["content-length"] == str(50 * MEGABYTE)
        os.truncate(path, MEGABYTE)
        with pytest.raises(CutShortError):
            raw.read(50 * MEGABYTE)
    eventually(lambda: "became shorter while it was sent" in proxy.log())


def test_clients_that_leave_leave_nothing_open(proxy: RunningProxy) -> None:
    def open_files() -> int:
        return sum(
            os.path.realpath(fd).endswith("huge.bin")
            for pid in children_of(proxy.pid)
            for fd in Path(f"/proc/{pid}/fd").iterdir()
        )

    clients = [RawClient(proxy, small=True) for _ in range(20)]
    for raw in clients:
        raw.send(b"GET /static/huge.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.head().status == 200
    assert open_files() == 20
    for raw in clients:
        raw.close()
    eventually(lambda: open_files() == 0)
