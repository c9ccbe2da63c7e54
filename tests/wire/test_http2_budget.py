from proxy.wire.http2_budget import Allowance, Budgets


def test_an_allowance_is_spent_and_refilled() -> None:
    allowance = Allowance(2, 0.5, 100.0)
    assert [allowance.spend(100.0) for _ in range(3)] == [True, True, False]
    assert not allowance.spend(101.0)
    assert allowance.spend(102.0), "asking in vain costs nothing"
    assert allowance.spend(1000.0, 2)
    assert not allowance.spend(1000.0)


def test_a_long_rest_saves_up_no_more_than_the_burst() -> None:
    allowance = Allowance(2, 0.5, 0.0)
    assert [allowance.spend(10_000.0) for _ in range(3)] == [True, True, False]


def test_what_is_earned_is_no_more_than_the_burst_either() -> None:
    allowance = Allowance(2, 0.0, 0.0)
    assert allowance.spend(0.0, 2)
    allowance.earn(1.5)
    assert allowance.spend(0.0, 1.5)
    allowance.earn(100)
    assert not allowance.spend(0.0, 2.5)
    assert allowance.spend(0.0, 2)


def test_who_is_sent_much_may_open_windows_as_often() -> None:
    """Go's client: two windows for every four kilobytes."""
    budgets = Budgets(0.0)
    for _ in range(10_000):
        budgets.sent(16384)
        assert all(budgets.window_updates.spend(0.0) for _ in range(8))
        assert budgets.pings.spend(0.0), "one for each frame, to measure the line"


def test_who_takes_many_answers_may_give_some_up() -> None:
    budgets = Budgets(0.0)
    for _ in range(1000):
        for _ in range(4):
            budgets.answered()
        assert budgets.resets.spend(0.0)
