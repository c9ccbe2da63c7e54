"""The table of retries, over all combinations, against the rules written down a second time."""

import itertools

import pytest

from proxy.upstream.retry import Failure, Retry, after

FLAGS = ("sent", "unapplied", "replayable", "answered", "ended", "reused")
COMBINATIONS = list(itertools.product([False, True], repeat=len(FLAGS)))
REQUESTS = [("GET", False), ("PUT", False), ("POST", False), ("POST", True), ("BREW", False)]


def failure(method: str = "GET", *, key: bool = False, retries: int = 0, **flags: bool) -> Failure:
    usual = {
        "sent": True,
        "unapplied": False,
        "replayable": True,
        "answered": False,
        "ended": True,
        "reused": False,
    }
    return Failure(method=method, has_idempotency_key=key, retries=retries, **(usual | flags))


@pytest.mark.parametrize(("method", "key"), REQUESTS)
@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("limit", [0, 1, 2])
def test_all_combinations(method: str, *, key: bool, retries: int, limit: int) -> None:
    repeatable = key or method in {"GET", "PUT"}
    for values in COMBINATIONS:
        flags = dict(zip(FLAGS, values, strict=True))
        harmless = repeatable or flags["unapplied"] or not flags["sent"]
        possible = flags["replayable"] and not flags["answered"]
        stale = flags["sent"] and flags["reused"] and flags["ended"]
        within = not flags["sent"] or retries < limit
        if not (harmless and possible):
            expected = Retry.GIVE_UP
        elif stale:
            expected = Retry.SAME_FRESH
        else:
            expected = Retry.OTHER if within else Retry.GIVE_UP
        got = after(failure(method, key=key, retries=retries, **flags), limit)
        assert got is expected, flags


@pytest.mark.parametrize(
    ("what", "told", "then"),
    [
        ("refused before anything was sent, any method", failure("POST", sent=False), Retry.OTHER),
        ("... however often", failure("POST", sent=False, retries=9), Retry.OTHER),
        ("a new connection broke under a GET", failure(), Retry.OTHER),
        ("... and again on the next server", failure(retries=1), Retry.GIVE_UP),
        ("a new connection broke under a POST", failure("POST"), Retry.GIVE_UP),
        ("... with a key", failure("POST", key=True), Retry.OTHER),
        ("a stale connection broke under a GET", failure(reused=True), Retry.SAME_FRESH),
        ("... costs no retry", failure(reused=True, retries=1), Retry.SAME_FRESH),
        ("a stale connection broke under a POST", failure("POST", reused=True), Retry.GIVE_UP),
        ("no answer in time", failure(ended=False), Retry.OTHER),
        ("... on a reused connection", failure(ended=False, reused=True), Retry.OTHER),
        ("the body is gone", failure("PUT", replayable=False), Retry.GIVE_UP),
        ("an answer had begun", failure(answered=True), Retry.GIVE_UP),
        ("... on a reused connection", failure(answered=True, reused=True), Retry.GIVE_UP),
        ("the server said it did nothing", failure("POST", unapplied=True), Retry.OTHER),
    ],
)
def test_the_cases_that_happen(what: str, told: Failure, then: Retry) -> None:
    assert after(told, limit=1) is then, what
