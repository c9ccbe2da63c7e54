"""The bodies that are served: by path at the upstream, by name in the folder of static files."""

import json
import os
import random
import uuid
from collections.abc import Mapping
from pathlib import Path

SMALL = 100
"""Bytes of the answer to `/small`, and to every path that begins so."""
PAGES = 32

_CHANGED = 1_750_000_000  # seconds since 1970

_TEXT = """
a about across after again against along and around at away back because before behind below between
beyond by city cold country daughter day dream early end every family father find first follow for
forest friend from garden gold great harbour has her his home hope house how in into island journey
king know last leaves letter life light little long lost love mother mountain must name never new
night no of old on one only over own past quiet rain return river sea secret she ship silent sister
small snow stone storm story stranger summer than that the their they through time to town travel
truth two under until valley village voice war water when where while who winter with without world
year young
"""
_WORDS = _TEXT.split()
_GENRES = ("Action", "Comedy", "Documentary", "Drama", "Horror", "Romance", "Thriller")
_LANGUAGES = ("de", "en", "es", "fr", "it", "ja", "ko")


def binary(size: int) -> bytes:
    """Bytes of no known type."""
    return bytes(index % 251 for index in range(size))


def picture(size: int) -> bytes:
    """Bytes that do not shrink, as pictures and fonts have them."""
    return random.Random(size).randbytes(size)


def records(size: int, page: int) -> bytes:
    """A page of a JSON API of so many bytes, 2 KB at least: each record has values of its own.

    gzip makes a good third of it, as it does of such answers; one record repeated would shrink to a
    fiftieth, and cost less CPU.
    """
    source = random.Random(size + page)
    results: list[dict[str, object]] = []
    answer: dict[str, object] = {"count": 4711, "page": page, "remark": "", "results": results}
    left = size - len(as_json(answer))
    while left > 1000:
        results.append(record(source, len(results) + 1))
        left = size - len(as_json(answer))
    answer["remark"] = sentence(source, left, left)[:left]
    return as_json(answer)


def record(source: random.Random, number: int) -> dict[str, object]:
    """One film."""
    return {
        "id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
        "number": number,
        "title": sentence(source, 2, 5),
        "overview": sentence(source, 15, 45) + ".",
        "genres": source.sample(_GENRES, source.randint(1, 3)),
        "language": source.choice(_LANGUAGES),
        "rating": round(source.uniform(1, 10), 1),
        "votes": source.randint(3, 40000),
        "runtime": source.choice((None, source.randint(70, 190))),
        "released": f"{source.randint(1950, 2025)}-{source.randint(1, 12):02}-"
        f"{source.randint(1, 28):02}",
        "poster": f"/media/posters/{source.getrandbits(64):016x}.jpg",
        "seen": source.random() < 0.4,
    }


def sentence(source: random.Random, least: int, most: int) -> str:
    """Some words, the first one with a capital."""
    return " ".join(source.choices(_WORDS, k=source.randint(least, most))).capitalize()


def as_json(value: object) -> bytes:
    """JSON as web frameworks render it."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


UPSTREAM: Mapping[str, bytes] = {
    "/10k": binary(10 << 10),
    "/1m": binary(1 << 20),
    **{f"/json/10k-{page}.json": records(10 << 10, page) for page in range(PAGES)},
    **{f"/json/100k-{page}.json": records(100 << 10, page) for page in range(PAGES)},
}
"""What the upstream has beside `/small`, by path.

`/json/10k.json` is one page of that size after the other: a processor learns to foresee what is in
10 KB that come again and again, and zlib then takes half the time for them.
"""

STATIC: Mapping[str, bytes] = {
    "/static/10k.webp": picture(10 << 10),
    "/static/200k.webp": picture(200 << 10),
}
"""What the servers themselves have in a folder, by path."""


def length(path: str) -> int:
    """Bytes of the good answer to a path, before any content coding."""
    first = path.replace(".json", "-0.json")
    body = UPSTREAM.get(first) or STATIC.get(first)
    return SMALL if body is None else len(body)


def write(folder: Path, bodies: Mapping[str, bytes]) -> None:
    """Write bodies as files beneath a folder, which were last changed long ago.

    A server may keep less of a file that was changed a moment ago, for it may change once more.
    """
    for path, body in bodies.items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        os.utime(file, (_CHANGED, _CHANGED))
