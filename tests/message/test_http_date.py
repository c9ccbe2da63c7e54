import pytest

from proxy.message.http_date import http_date, parse_http_date

NOW = 1_800_000_000.0  # in January 2027
SAMPLE = 784111777  # of RFC 9110, 5.6.7


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",  # the name of the day is not looked at
    ],
)
def test_three_forms_are_read(text: str) -> None:
    assert parse_http_date(text, NOW) == SAMPLE


def test_what_is_written_is_read() -> None:
    assert http_date(SAMPLE) == "Sun, 06 Nov 1994 08:49:37 GMT"
    for seconds in (0, 951782400, 1_735_689_599, 4_000_000_000):
        assert parse_http_date(http_date(seconds), NOW) == seconds


@pytest.mark.parametrize(
    ("year", "meant"), [("76", 2076), ("77", 2077), ("78", 1978), ("94", 1994), ("27", 2027)]
)
def test_two_digits_are_a_year_at_most_fifty_years_ahead(year: str, meant: int) -> None:
    assert parse_http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT", NOW) == parse_http_date(
        f"Sun, 06 Nov {meant} 08:49:37 GMT", NOW
    )


def test_a_leap_second_is_the_one_before() -> None:
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW) == 1483228799


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov ١٩٩٤ 08:49:37 GMT",
        "784111777",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    assert parse_http_date(text, NOW) is None
