import itertools
from collections import deque

import pytest
from hypothesis import given, strategies as st

from proxy.upstream.health import TRANSITIONS, HealthState, Verdict, too_many


def test_the_table_covers_every_verdict_and_answer() -> None:
    assert set(TRANSITIONS) == set(itertools.product(Verdict, [True, False]))


def test_an_answer_never_turns_the_verdict_it_agrees_with() -> None:
    for (verdict, good), (_, then) in TRANSITIONS.items():
        assert then is (Verdict.UP if good else Verdict.DOWN)
        assert (then is verdict) == (good == (verdict is Verdict.UP))


def record(state: HealthState, answers: str) -> str:
    """Feed answers ("+" good, "-" bad); return what the verdict was after each ("U", "D")."""
    verdicts = ""
    for answer in answers:
        before = state.up
        assert state.record(good=answer == "+") == (state.up != before)
        verdicts += "U" if state.up else "D"
    return verdicts


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ("--", "UU"),
        ("---", "UUD"),
        ("--+--", "UUUUU"),
        ("--+---", "UUUUUD"),
        ("---++", "UUDDU"),
        ("---+-+", "UUDDDD"),
        ("---+-++", "UUDDDDU"),
        ("---++---", "UUDDUUUD"),
    ],
)
def test_rise_two_fall_three(answers: str, verdicts: str) -> None:
    assert record(HealthState(rise=2, fall=3), answers) == verdicts


def test_one_is_enough_where_one_is_configured() -> None:
    assert record(HealthState(rise=1, fall=1), "-+-") == "DUD"


def test_settled_means_that_nothing_speaks_against_the_verdict() -> None:
    state = HealthState(rise=2, fall=2, verdict=Verdict.DOWN)
    seen = []
    for good in (False, True, True, False, True):
        state.record(good=good)
        seen.append((state.up, state.settled))
    assert seen == [(False, True), (False, False), (True, True), (True, False), (True, True)]


@given(st.text("+-", max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_a_verdict_turns_exactly_after_a_run_of_contradictions(
    answers: str, rise: int, fall: int
) -> None:
    state = HealthState(rise, fall)
    expected, since = "U", 0
    for position, answer in enumerate(answers):
        against = "-" * fall if expected == "U" else "+" * rise
        if answers[since : position + 1].endswith(against):
            expected, since = ("D" if expected == "U" else "U"), position + 1
        assert record(state, answer) == expected


@pytest.mark.parametrize(
    ("times", "out"),
    [
        ([0.0, 1.0], [False, False]),
        ([0.0, 1.0, 2.0], [False, False, True]),
        ([0.0, 5.0, 10.0], [False, False, True]),
        ([0.0, 5.0, 10.1], [False, False, False]),
        ([0.0, 5.0, 10.1, 11.0], [False, False, False, True]),
    ],
)
def test_failures_count_within_a_sliding_window(times: list[float], out: list[bool]) -> None:
    window: deque[float] = deque(maxlen=3)
    assert [too_many(window, time, within=10.0) for time in times] == out


def test_no_number_of_failures_is_too_many_for_zero() -> None:
    window: deque[float] = deque(maxlen=0)
    assert not any(too_many(window, 1.0, within=10.0) for _ in range(100))


@given(st.lists(st.floats(0, 100), max_size=30).map(sorted), st.integers(1, 5))
def test_the_window_agrees_with_counting_all_failures(times: list[float], most: int) -> None:
    window: deque[float] = deque(maxlen=most)
    for position, now in enumerate(times):
        recent = [time for time in times[: position + 1] if now - time <= 10.0]
        assert too_many(window, now, within=10.0) == (len(recent) >= most)
