from proxy.wire.websocket_liveness import ANSWER, Liveness, Need


def test_silence_is_asked_once_and_then_given_up() -> None:
    end = Liveness(30.0, 100.0)
    assert (end.due(), end.need(129.9)) == (130.0, Need.NOTHING)
    assert end.need(130.0) is Need.PING
    end.asked(130.0)
    assert (end.due(), end.need(149.9)) == (130.0 + ANSWER, Need.NOTHING)
    assert end.need(150.0) is Need.GIVE_UP


def test_anything_that_comes_is_an_answer() -> None:
    end = Liveness(30.0, 100.0)
    end.asked(130.0)
    end.heard = 131.0
    assert (end.due(), end.need(160.9), end.need(161.0)) == (161.0, Need.NOTHING, Need.PING)


def test_a_second_ping_gives_no_more_time() -> None:
    """Else an end that is gone would be kept by the pings of the other."""
    end = Liveness(30.0, 100.0)
    for now in (110.0, 115.0, 120.0):
        end.asked(now)
    assert end.need(129.9) is Need.NOTHING
    assert end.need(130.0) is Need.GIVE_UP


def test_the_other_ends_ping_does_for_ours() -> None:
    end = Liveness(30.0, 100.0)
    end.asked(129.0)
    assert end.need(130.0) is Need.NOTHING
    end.heard = 129.1
    assert end.need(159.1) is Need.PING
