import pytest

from proxy.compiler.intercept import compile_intercept
from proxy.errors import InterceptedError
from proxy.message.head import ResponseHead
from tests.compiler.scopes import scope_of
from tests.policy.asking import asking

CONTENTS = {"/srv/a.html": b"a", "/srv/b.html": b"b"}
PAGES = "error_pages: {404: a.html}"


@pytest.mark.parametrize(
    ("route", "site", "file", "expected"),
    [
        ("proxy: app", "", "", False),
        ("proxy: app\nintercept_errors: on", "", "", False),
        ("proxy: app", "", PAGES, False),
        ("proxy: app\nintercept_errors: on", "", PAGES, True),
        ("proxy: app", f"intercept_errors: on\n{PAGES}", "", True),
        (f"proxy: app\n{PAGES}", "intercept_errors: on", "", True),
        ("proxy: app\nintercept_errors: off", f"intercept_errors: on\n{PAGES}", "", False),
        ("proxy: app\nerror_pages: {404: null}", f"intercept_errors: on\n{PAGES}", "", False),
        ("respond: 204", f"intercept_errors: on\n{PAGES}", "", False),
    ],
)
def test_where_there_is_something_to_do(
    route: str, site: str, file: str, *, expected: bool
) -> None:
    part = compile_intercept(scope_of(route, site, file, CONTENTS))
    assert (part is not None) is expected


def test_the_pages_of_the_route_decide() -> None:
    part = compile_intercept(
        scope_of(
            "proxy: app\nerror_pages: {403: b.html}", f"intercept_errors: on\n{PAGES}", "", CONTENTS
        )
    )
    assert part is not None
    assert part.shape is not None
    for status in (403, 404):
        with pytest.raises(InterceptedError):
            part.shape(asking("/x/"), ResponseHead(status, "x"))
    head = ResponseHead(500, "x")
    assert part.shape(asking("/x/"), head) is head
