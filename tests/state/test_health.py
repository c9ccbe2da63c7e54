from proxy.state.health import SIZE, HealthBoard

KEY = bytes(range(32))


def boards() -> tuple[HealthBoard, HealthBoard]:
    memory = memoryview(bytearray(SIZE))
    return HealthBoard(memory, KEY), HealthBoard(memory, KEY)


def test_a_verdict_is_seen_by_all_and_may_change() -> None:
    keeper, worker = boards()
    key = HealthBoard.key("app", "http://app:8000", "192.0.2.1")
    assert worker.get(key) is None
    assert keeper.set(key, up=True)
    assert worker.get(key) is True
    assert keeper.set(key, up=False)
    assert worker.get(key) is False
    assert worker.get(HealthBoard.key("app", "http://app:8000", "192.0.2.2")) is None


def test_a_hundred_servers_have_each_their_own() -> None:
    keeper, worker = boards()
    verdicts = {f"key {number}": number % 3 == 0 for number in range(100)}
    assert all(keeper.set(key, up) for key, up in verdicts.items())
    assert {key: worker.get(key) for key in verdicts} == verdicts


def test_only_what_is_kept_stays() -> None:
    keeper, worker = boards()
    for key in ("old", "new"):
        keeper.set(key, up=False)
    assert worker.get("old") is False
    keeper.keep_only(["new", "never seen"])
    assert (worker.get("old"), worker.get("new")) == (None, False)
    assert worker.get("never seen") is None


def test_a_place_given_to_another_says_nothing_of_the_first() -> None:
    keeper, worker = boards()
    crowd = [f"key {number}" for number in range(6000)]
    taken = [key for key in crowd if keeper.set(key, up=False)]
    # 4,096 places: some shelves are full, and then nothing is overwritten.
    assert 2500 < len(taken) <= 4096
    assert all(worker.get(key) is False for key in taken)
    refused = sorted(set(crowd).difference(taken))
    assert all(worker.get(key) is None for key in refused)
    keeper.keep_only([])
    assert all(worker.get(key) is None for key in crowd)
    newcomers = [key for key in refused if keeper.set(key, up=True)]
    assert newcomers
    assert all(worker.get(key) is True for key in newcomers)
    assert all(worker.get(key) is None for key in taken)


def test_what_a_reader_remembers_is_bounded() -> None:
    keeper, worker = boards()
    keeper.set("kept", up=False)
    for number in range(20_000):
        worker.get(f"key {number}")
    assert worker.get("kept") is False
    assert len(worker._remembered) <= 16_384
