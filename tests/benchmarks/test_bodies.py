import json
import zlib
from pathlib import Path

import pytest

from benchmarks import bodies


@pytest.mark.parametrize("size", [10 << 10, 100 << 10])
def test_pages_of_json_have_the_same_length_and_differ(size: int) -> None:
    pages = {bodies.records(size, page) for page in range(4)}
    assert [len(page) for page in pages] == [size] * 4
    assert all(len(json.loads(page)["results"]) > 15 for page in pages)


def test_pages_are_the_same_in_every_run() -> None:
    assert bodies.records(10 << 10, 3) == bodies.UPSTREAM["/json/10k-3.json"]


def test_json_shrinks_as_answers_do_and_pictures_do_not() -> None:
    page = bodies.UPSTREAM["/json/100k-0.json"]
    assert 0.25 < len(zlib.compress(page, 1)) / len(page) < 0.45
    picture = bodies.STATIC["/static/200k.webp"]
    assert len(zlib.compress(picture, 1)) > 0.99 * len(picture)


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/small", bodies.SMALL),
        ("/small/run/7", bodies.SMALL),
        ("/10k", 10 << 10),
        ("/json/100k.json", 100 << 10),
        ("/static/200k.webp", 200 << 10),
    ],
)
def test_the_length_of_what_a_path_answers(path: str, length: int) -> None:
    assert bodies.length(path) == length


def test_bodies_become_files(tmp_path: Path) -> None:
    bodies.write(tmp_path, {"/a/b/c": b"x", "/d": b"y"})
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"x"
    assert (tmp_path / "d").read_bytes() == b"y"
    assert (tmp_path / "d").stat().st_mtime < (tmp_path / "a").stat().st_mtime - 1e6
