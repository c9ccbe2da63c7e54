from proxy.run.backoff import LONG_LIFE, LONGEST, Backoff


def test_the_first_death_costs_no_wait_and_each_further_one_twice_as_much() -> None:
    backoff = Backoff()
    assert [backoff.died(lived=0.1) for _ in range(9)] == [
        0.0, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST, LONGEST,
    ]  # fmt: skip


def test_a_process_that_had_worked_is_replaced_at_once() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.died(lived=0.1)
    assert backoff.died(lived=LONG_LIFE) == 0.0
    assert backoff.died(lived=0.1) == 1.0
