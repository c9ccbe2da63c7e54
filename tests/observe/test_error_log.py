import json

from proxy.observe.error_log import RepeatLimit, json_line, text_line
from proxy.observe.log_time import render_time

STAMP = render_time(1823176536, 7200)


def test_text() -> None:
    assert text_line(STAMP, "warning", 77, "upstream app is down") == (
        "2027-10-10T15:55:36+02:00 [warning] 77: upstream app is down"
    )


def test_neither_message_nor_traceback_can_pass_for_a_record() -> None:
    trace = 'Traceback:\n  File "x"\nValueError: \x1b[2J\r2027 [info] 1: forged'
    lines = text_line(STAMP, "error", 77, "one\n2027 [info] 1: forged", trace).splitlines()
    assert lines[0].endswith("[error] 77: one\\x0A2027 [info] 1: forged")
    assert lines[1:] == [
        "    Traceback:",
        '      File "x"',
        "    ValueError: \\x1B[2J",
        "    2027 [info] 1: forged",
    ]


def test_json() -> None:
    line = json_line(STAMP, "error", 77, 'a "b"\n', "t\nrace")
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-10-10T15:55:36+02:00",
        "level": "error",
        "pid": 77,
        "message": 'a "b"\n',
        "traceback": "t\nrace",
    }
    assert "traceback" not in json.loads(json_line(STAMP, "info", 77, "a"))


def test_a_long_traceback_keeps_its_end() -> None:
    trace = "x\n" * 50_000 + "ValueError: here"
    text = text_line(STAMP, "error", 77, "m", trace)
    assert len(text) < 60_000
    assert text.endswith("\n    ValueError: here")
    assert json.loads(json_line(STAMP, "error", 77, "m", trace))["traceback"].endswith(": here")


def test_the_same_message_comes_a_few_times_a_second() -> None:
    limit = RepeatLimit(equal=3, different=10)
    assert limit.roll(100.0) == []
    assert [limit.admit("a") for _ in range(5)] == [True, True, True, False, False]
    assert limit.admit("b")
    assert limit.roll(100.9) == []
    assert not limit.admit("a")
    assert limit.roll(101.0) == [("a", 3)]
    assert limit.admit("a")
    assert limit.roll(102.5) == []


def test_different_messages_are_bounded_too() -> None:
    limit = RepeatLimit(equal=3, different=2)
    limit.roll(0.0)
    assert [limit.admit(text) for text in "aabcd"] == [True, True, True, False, False]
    assert limit.admit("a")
    assert limit.roll(1.0) == [("", 2)]


def test_a_clock_set_back_begins_a_new_second() -> None:
    limit = RepeatLimit(equal=1)
    limit.roll(100.0)
    assert [limit.admit("a"), limit.admit("a")] == [True, False]
    assert limit.roll(50.0) == [("a", 1)]
    assert limit.admit("a")
