"""The demo application, driven over a real connection."""

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

APP = Path(__file__).parents[2] / "config" / "demo" / "app.py"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    spec = importlib.util.spec_from_file_location("demo_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.DemoServer(("127.0.0.1", 0), module.DemoHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"
            with httpx.Client(base_url=base, trust_env=False) as http:
                yield http
        finally:
            server.shutdown()
            thread.join()


def test_the_page(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.http_version == "HTTP/1.1"
    assert "It serves." in answer.text


def test_head_has_the_length_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/")
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


def test_echo_says_what_arrived_and_in_which_order(client: httpx.Client) -> None:
    answer = client.put("/api/echo?a=b%20c", content="hällo", headers=[("X-A", "1"), ("x-a", "2")])
    told = answer.json()
    assert told["method"] == "PUT"
    assert told["path"] == "/api/echo?a=b%20c"
    assert told["body"] == "hällo"
    assert [value for name, value in told["headers"] if name.lower() == "x-a"] == ["1", "2"]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_upload_counts_bodies_with_a_length_and_in_chunks(client: httpx.Client, size: int) -> None:
    assert client.post("/upload", content=b"x" * size).json() == {"bytes": size}
    chunks = (b"y" * min(50_001, size - at) for at in range(0, size, 50_001))
    assert client.post("/upload", content=chunks).json() == {"bytes": size}


def test_a_body_nobody_asked_for_does_not_spoil_the_next_request(client: httpx.Client) -> None:
    assert client.post("/nowhere", content=b"GET / HTTP/1.1\r\n\r\n").status_code == 404
    assert client.get("/api/echo").json()["method"] == "GET"


def test_events_are_a_stream_that_ends(client: httpx.Client) -> None:
    answer = client.get("/events?count=3&every=0")
    assert answer.headers["content-type"] == "text/event-stream"
    assert [line for line in answer.text.splitlines() if line.startswith("id:")] == [
        "id: 1",
        "id: 2",
        "id: 3",
    ]


def test_a_count_that_is_no_number_is_the_clients_mistake(client: httpx.Client) -> None:
    assert client.get("/events?count=many").status_code == 400
