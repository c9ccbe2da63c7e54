import pytest

from proxy.settings.advice import warnings
from tests.settings.loading import settings


def advice(route: str) -> list[str]:
    text = f"sites: [{{hosts: localhost, routes: [{{path: /, {route}}}]}}]"
    return [f"{one.path}: {one.message}" for one in warnings(settings(text))]


def test_headers_of_answers_are_no_condition() -> None:
    (told,) = advice("respond: 204, headers: {X-Frame-Options: DENY, X-Tenant: a}")
    assert told.startswith("sites[0].routes[0].headers.X-Frame-Options: ")
    assert "`response_headers` sets one" in told
    assert advice("respond: 204, headers: {Accept: text/html, Cache-Control: no-cache}") == []


@pytest.mark.parametrize(
    ("route", "place", "variable"),
    [
        ("redirect: https://$host$request_uri", "redirect", "$host"),
        ("redirect: {to: /new/$1, status: 301}", "redirect", "$1"),
        ("proxy: http://a:1, request_headers: {X-A: $remote_user}", "request_headers.X-A", "$r"),
        ("respond: 204, response_headers: {X-A: $request_id}", "response_headers.X-A", "$request"),
    ],
)
def test_variables_of_nginx_are_nothing_here(route: str, place: str, variable: str) -> None:
    (told,) = advice(route)
    assert told.startswith(f"sites[0].routes[0].{place}: {variable}")
    assert "as it stands" in told


@pytest.mark.parametrize(
    "route",
    [
        "redirect: '/price?max=$'",
        "redirect: 'https://a.example{uri}'",
        "respond: 204, response_headers: {X-A: 5$, X-B: cost $amount of it, X-C: null}",
    ],
)
def test_other_dollars_are_nobodys_business(route: str) -> None:
    assert advice(route) == []
