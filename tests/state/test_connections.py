from proxy.state.connections import ROW_SIZE, Admission, ConnectionTable

KEY = bytes(range(32))


def tables(workers: int) -> list[ConnectionTable]:
    rows = [memoryview(bytearray(ROW_SIZE)) for _ in range(workers)]
    return [ConnectionTable(rows, slot, KEY) for slot in range(workers)]


def test_the_limit_of_an_address_holds_over_all_workers() -> None:
    one, other = tables(2)
    assert one.enter("192.0.2.1", 100, 2) is Admission.OK
    assert other.enter("192.0.2.1", 100, 2) is Admission.OK
    assert one.enter("192.0.2.1", 100, 2) is Admission.TOO_MANY_FOR_ADDRESS
    assert other.enter("192.0.2.1", 100, 2) is Admission.TOO_MANY_FOR_ADDRESS
    assert one.enter("192.0.2.2", 100, 2) is Admission.OK
    assert (one.total(), one.count("192.0.2.1")) == (3, 2)


def test_the_limit_of_all_holds_over_all_workers_and_comes_first() -> None:
    one, other = tables(2)
    assert one.enter("192.0.2.1", 2, 1) is Admission.OK
    assert other.enter("192.0.2.2", 2, 1) is Admission.OK
    assert one.enter("192.0.2.1", 2, 1) is Admission.TOO_MANY
    assert one.total() == 2


def test_who_leaves_makes_room() -> None:
    one, other = tables(2)
    one.enter("192.0.2.1", 1, 1)
    one.leave("192.0.2.1")
    assert other.enter("192.0.2.1", 1, 1) is Admission.OK
    other.leave("192.0.2.1")
    assert (one.total(), one.count("192.0.2.1")) == (0, 0)


def test_a_connection_refused_is_not_counted() -> None:
    (table,) = tables(1)
    table.enter("192.0.2.1", 0, 1)
    table.enter("192.0.2.1", 0, 1)
    table.leave("192.0.2.1")
    assert (table.total(), table.count("192.0.2.1")) == (0, 0)


def test_leaving_too_often_takes_nothing_from_others() -> None:
    one, other = tables(2)
    other.enter("192.0.2.1")
    one.leave("192.0.2.1")
    assert (one.total(), one.count("192.0.2.1")) == (1, 1)


def test_zero_is_no_limit() -> None:
    (table,) = tables(1)
    assert all(table.enter("192.0.2.1") is Admission.OK for _ in range(300))


def test_a_bucket_that_is_full_takes_no_more() -> None:
    row = memoryview(bytearray(ROW_SIZE))
    table = ConnectionTable([row], 0, KEY)
    table.enter("192.0.2.1")
    filled = bytes(row[64:]).index(b"\x01") // 2
    row[64:].cast("H")[filled] = 65535
    assert table.enter("192.0.2.1") is Admission.TOO_MANY_FOR_ADDRESS
    assert table.count("192.0.2.1") == 65535


def test_buckets_depend_on_the_key() -> None:
    places = set()
    for key in (KEY, bytes(32)):
        row = memoryview(bytearray(ROW_SIZE))
        ConnectionTable([row], 0, key).enter("192.0.2.1")
        places.add(bytes(row[64:]).index(b"\x01"))
    assert len(places) == 2


def test_addresses_spread_over_the_buckets() -> None:
    row = memoryview(bytearray(ROW_SIZE))
    table = ConnectionTable([row], 0, KEY)
    for number in range(2000):
        table.enter(f"10.0.{number // 250}.{number % 250}")
    used = sum(1 for count in row[64:].cast("H") if count)
    # 2,000 into 65,536: 30 pairs are to be expected.
    assert 1930 < used <= 2000
