from proxy.files.cache import Entry, FileCache, Ready
from proxy.files.finding import Kind, Sighting, Signature
from proxy.message.head import ResponseHead


def seen(body: bytes, inode: int = 1, coding: str = "") -> Sighting:
    sighting = Sighting(Kind.FILE)
    sighting.name = "a.css"
    sighting.of = Signature(1, inode, len(body), 10, 10)
    if coding:
        sighting.neighbours = {coding: Signature(1, 100 + inode, len(body), 10, 10)}
        sighting.coding = coding
    sighting.body = body
    return sighting


def ready(entry: Entry, body: bytes) -> Ready:
    head = ResponseHead(200, "OK", b"A: b\r\n")
    head.content_length = len(body)
    return Ready(head, body, entry.until)


def test_what_was_put_in_is_found() -> None:
    cache = FileCache()
    entry = cache.seen("a", seen(b"body"), 5.0)
    assert cache.get("a") is entry
    assert entry.until == 5.0
    assert entry.bodies == {entry.of: b"body"}
    assert cache.get("b") is None


def test_the_same_file_is_true_for_longer() -> None:
    cache = FileCache()
    entry = cache.seen("a", seen(b"body"), 5.0)
    answer = ready(entry, b"body")
    cache.keep(entry, "key", answer)
    assert cache.seen("a", seen(b"body"), 6.0) is entry
    assert (entry.until, answer.until) == (6.0, 6.0)
    assert entry.ready == {"key": answer}


def test_another_file_takes_its_place_and_answers_are_gone() -> None:
    cache = FileCache()
    entry = cache.seen("a", seen(b"body"), 5.0)
    answer = ready(entry, b"body")
    cache.keep(entry, "key", answer)
    other = cache.seen("a", seen(b"new", inode=2), 6.0)
    assert other is not entry
    assert cache.get("a") is other
    assert (answer.until, answer.body) == (0.0, b"")
    assert not entry.bodies
    assert len(cache) == 1
    assert cache.size == other.size


def test_a_neighbour_that_came_or_went_is_a_change() -> None:
    cache = FileCache()
    entry = cache.seen("a", seen(b"body"), 5.0)
    other = cache.seen("a", seen(b"body", coding="br"), 5.0)
    assert other is not entry


def test_bodies_of_several_codings_are_kept_together() -> None:
    cache = FileCache()
    first = seen(b"encoded", coding="br")
    entry = cache.seen("a", first, 5.0)
    plain = seen(b"encoded", coding="br")
    plain.coding, plain.body = "", b"plain"
    before = cache.size
    assert cache.seen("a", plain, 5.0) is entry
    assert set(entry.bodies.values()) == {b"encoded", b"plain"}
    assert cache.size == before + 5
    cache.encoded(entry, "gzip", b"123")
    assert cache.size == entry.size == before + 8


def test_bytes_are_bounded_and_the_least_used_goes_first() -> None:
    cache = FileCache(most_bytes=40_000)
    entries = [cache.seen(number, seen(bytes(10_000), inode=number), 5.0) for number in range(3)]
    answer = ready(entries[1], bytes(10_000))
    cache.keep(entries[1], "key", answer)
    cache.get(0)
    cache.seen(3, seen(bytes(10_000), inode=3), 5.0)
    assert cache.get(1) is None
    assert cache.get(0) is entries[0]
    assert cache.size <= 40_000
    assert cache.size == sum(entry.size for entry in entries) + 12_048
    assert (answer.body, answer.until) == (b"", 0.0)  # nobody holds what has gone


def test_an_answer_that_is_made_twice_counts_once() -> None:
    cache = FileCache()
    entry = cache.seen("a", seen(b"body"), 5.0)
    cache.keep(entry, "key", ready(entry, b"body"))
    before = cache.size
    cache.keep(entry, "key", ready(entry, b"body"))
    assert cache.size == entry.size == before
    cache.keep(entry, "other", ready(entry, b"body"))
    assert cache.size > before


def test_entries_are_bounded() -> None:
    cache = FileCache(most_entries=10)
    for number in range(100):
        cache.seen(number, seen(b"x", inode=number), 5.0)
    assert len(cache) == 10
    assert cache.get(99) is not None


def test_what_had_to_go_takes_nothing_more_in() -> None:
    cache = FileCache(most_entries=1)
    entry = cache.seen("a", seen(b"body"), 5.0)
    other = cache.seen("b", seen(b"body", inode=2), 5.0)
    answer = ready(entry, b"body")
    cache.keep(entry, "key", answer)
    cache.encoded(entry, "gzip", b"123")
    assert answer.until == 0.0
    assert not entry.ready
    assert not entry.encoded
    assert cache.size == other.size


def test_one_that_is_larger_than_all_there_is_does_not_stay() -> None:
    cache = FileCache(most_bytes=5000)
    entry = cache.seen("a", seen(bytes(6000)), 5.0)
    assert cache.get("a") is None
    assert entry.size == cache.size == 0


def test_a_dated_head_is_one_object_as_long_as_the_date_holds() -> None:
    answer = ready(FileCache().seen("a", seen(b"body"), 5.0), b"body")
    first, second = b"Date: 1\r\n", b"Date: 2\r\n"
    head = answer.dated(first)
    assert head.block == b"A: b\r\nDate: 1\r\n"
    assert head.dated
    assert (head.status, head.content_length) == (200, 4)
    assert answer.dated(first) is head
    assert answer.dated(second).block == b"A: b\r\nDate: 2\r\n"
    assert answer.head.block == b"A: b\r\n"
