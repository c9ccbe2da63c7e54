from email.utils import parsedate_to_datetime

import pytest

from proxy.clock import wall_time
from proxy.compiler.cache_headers import compile_cache_headers
from proxy.message.head import ResponseHead
from tests.compiler.scopes import scope_of
from tests.policy.asking import asking
from tests.settings.test_users import BCRYPT

HASHED = "/x/main.3f2a1b9c.js"


def said(route: str, site: str = "", path: str = HASHED, block: bytes = b"") -> str | None:
    """What an answer says of its age, None where there is no part."""
    part = compile_cache_headers(scope_of(f"proxy: app\n{route}", site))
    if part is None:
        return None
    assert part.shape is not None
    shaped = part.shape(asking(path), ResponseHead(200, "OK", block)).block.decode()
    return shaped.partition("Cache-Control: ")[2].partition("\r\n")[0]


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("30d", "max-age=2592000"),
        ("1y", "max-age=31536000"),
        ("{age: 7d}", "max-age=604800"),
        ("{age: 1y, immutable: on}", "max-age=31536000, immutable"),
        ("no-store", "no-store"),
        ("no-cache", "no-cache"),
        ("off", None),
    ],
)
def test_what_may_be_written(cache: str, expected: str | None) -> None:
    assert said(f"cache: {cache}") == expected


def test_immutable_goes_by_the_name() -> None:
    assert said("cache: {age: 60, immutable: on}", path="/x/main.js") == "max-age=60"


def test_without_cache_there_is_no_part() -> None:
    assert said("") is None


@pytest.mark.parametrize(
    ("route", "site"),
    [
        ("response_headers: {cache-control: public}", ""),
        ("response_headers: {Cache-Control: null}", ""),
        ("", "headers: {Cache-Control: no-cache}"),
    ],
)
def test_an_explicit_header_has_the_last_word(route: str, site: str) -> None:
    assert said(f"cache: 30d\n{route}", site) is None


@pytest.mark.parametrize(
    ("route", "site", "guarded"),
    [
        ("forward_auth: {url: 'http://auth:9091/verify'}", "", True),
        ("", "forward_auth: {url: 'http://auth:9091/verify'}", True),
        ("forward_auth: off", "forward_auth: {url: 'http://auth:9091/verify'}", False),
        (f"basic_auth: {{users: {{alice: '{BCRYPT}'}}}}", "", True),
        ("allow: [10.0.0.0/8]", "", True),
        ("", "allow: [10.0.0.0/8]", True),
        ("deny: [10.0.0.0/8]", "", False),
        ("allow: all\ndeny: [10.0.0.0/8]", "", False),
    ],
)
def test_what_only_some_may_have_is_kept_by_no_shared_cache(
    route: str, site: str, *, guarded: bool
) -> None:
    expected = "private, max-age=60" if guarded else "max-age=60"
    assert said(f"cache: 60\n{route}", site) == expected


def test_expires_is_reckoned_from_now() -> None:
    part = compile_cache_headers(scope_of("proxy: app\ncache: 1y"))
    assert part is not None
    assert part.shape is not None
    block = part.shape(asking("/x/"), ResponseHead(200, "OK")).block.decode()
    expires = parsedate_to_datetime(block.partition("Expires: ")[2].strip()).timestamp()
    assert expires == pytest.approx(wall_time() + 31536000, abs=5)
