import pytest

from proxy.state.rate_store import PASSED, Decision, Pending, Quota


def test_the_interval_is_the_true_rate() -> None:
    assert Quota("a", 5, 60.0).interval == 12.0
    assert Quota("a", 100, 60.0).interval == pytest.approx(0.6)
    assert Quota("a", 7, 1.0).interval == pytest.approx(1 / 7)


def test_no_two_quotas_that_differ_in_what_counts_are_one() -> None:
    quotas = [
        Quota("a", 1, 60.0), Quota("a1", 1, 60.0), Quota("a", 11, 60.0), Quota("a", 1, 1.0),
        Quota("a", 1, 60.0, 1), Quota("a", 1, 60.0, key="host"),
        Quota("a", 1, 60.0, key="header:x-key"), Quota("a", 1, 60.0, key="cookie:x-key"),
    ]  # fmt: skip
    assert len({quota.identity for quota in quotas}) == len(quotas)
    assert not any(
        one.identity.startswith(other.identity)
        for one in quotas
        for other in quotas
        if one is not other
    ), "identity and key are joined"


def test_what_a_refusal_looks_like_does_not_change_whose_buckets_it_has() -> None:
    plain = Quota("a", 1, 60.0)
    assert plain.identity == Quota("a", 1, 60.0, delay=True, dry_run=True).identity


def test_a_decision_that_lets_pass_names_no_quota() -> None:
    assert (PASSED.status, PASSED.delay, PASSED.quota) == ("PASSED", 0.0, None)
    assert Decision("DELAYED", 0.5).quota is None
    assert Pending(lambda: PASSED).call() is PASSED
