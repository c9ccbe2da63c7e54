import contextlib
import re
import string
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, strategies as st

from proxy.errors import BadRequestError
from proxy.message.target import normalise_path, strip_prefix


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a?b=//../%zz", "/a"),
        ("/?", "/"),
        ("/%61dmin/", "/admin/"),
        ("/admin%2Fx", "/admin/x"),
        ("/admin%2fx", "/admin/x"),
        ("/a%252Fb", "/a%2Fb"),
        ("/a%3Fb?c", "/a?b"),
        ("//a///b//", "/a/b/"),
        ("/%2F", "/"),
        ("/.well-known/acme-challenge/x", "/.well-known/acme-challenge/x"),
        ("/a/...", "/a/..."),
        ("/a/..b", "/a/..b"),
        ("/a;x=1/..;/b", "/a;x=1/..;/b"),
        ("/a/..%3Bx/b", "/a/..;x/b"),
        ("/a/%252e%252e/b", "/a/%2e%2e/b"),
        ("/a?/../b", "/a"),
        ("/caf%C3%A9", "/café"),
        ("/%ff", "/\udcff"),
        ("/a%5Cb", "/a\\b"),
        ("/a%20b", "/a b"),
        ("/%23", "/#"),
        ('/{a}|"b"^`[c]', '/{a}|"b"^`[c]'),
        ("*", "*"),
    ],
)
def test_normalised(target: str, path: str) -> None:
    assert normalise_path(target) == path


@pytest.mark.parametrize(
    "target",
    ["", "a", "http://h/a", "?a", "/%", "/%z", "/%zz", "/%4", "/a%00b", "/a\\b", "/a#b", "/a b",
     "/\x00", "/é", "/\u20ac", "/a\r\nb", "/\x7f"],
)  # fmt: skip
def test_refused(target: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        normalise_path(target)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "target",
    ["/.", "/..", "/./a", "/a/.", "/a/../b", "/a/b/..", "/a//../b", "/../b", "/a/..?x=1", "/a/%2e",
     "/a/%2e%2E/b", "/a/.%2e/b", "/a%2f..%2fb", "/a/..%2F", "/internal/report/../../"],
)  # fmt: skip
def test_dot_segments_are_refused(target: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        normalise_path(target)
    assert caught.value.status == 400
    assert caught.value.public == "The path must not have dot segments."


segment = st.text(string.ascii_letters + string.digits + "-_~;=@!é/?%", min_size=1, max_size=6)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """Draw two targets for the same path."""
    path = "/" + "/".join(draw(st.lists(segment, max_size=5)))
    plain, odd = [], []
    for char in path[1:]:
        plain.append(quote(char, safe="/"))
        choice = draw(st.integers(0, 4))
        if char == "/":
            odd.append(["/", "//", "%2f", "%2F", "///"][choice])
        elif choice == 0:
            odd.append("".join(f"%{byte:02x}" for byte in char.encode()))
        else:
            odd.append(quote(char, safe=""))
    return "/" + "".join(plain), "/" + "".join(odd) + draw(st.sampled_from(["", "?", "?a=/../b"]))


@given(spellings())
@example(("/admin/", "/%61dmin%2f?"))
def test_spellings_of_a_path_are_one(pair: tuple[str, str]) -> None:
    assert normalise_path(pair[0]) == normalise_path(pair[1])


@given(
    (st.text(max_size=30) | st.text("/.%2eEfF05cC;?ab", max_size=20)).map(lambda text: "/" + text)
)
def test_output_is_canonical_or_bad_request(target: str) -> None:
    try:
        path = normalise_path(target)
    except BadRequestError:
        return
    assert path.startswith("/")
    assert "//" not in path
    assert "\0" not in path
    assert not {".", ".."} & set(path.split("/"))
    if not set(path) & set("%?#\\") and path.isascii() and path.isprintable() and " " not in path:
        assert normalise_path(path) == path


def readings(target: str) -> set[str]:
    """What servers without a route of their own for it take a target's path to be."""
    raw = target.partition("?")[0]
    kept = re.sub("%2f", "%252F", raw, flags=re.IGNORECASE)  # a decoder that leaves slashes alone
    whole = {raw, unquote(raw, errors="surrogateescape"), unquote(kept, errors="surrogateescape")}
    return whole | {re.sub("//+", "/", each) for each in whole}


@given(
    st.lists(
        st.sampled_from(
            ["/", "internal", "report", "%69nternal", "%2F", "%2f", "%5C", ";x", ".", "..", "%2e",
             "%252F", "%3F", "%23", "?", "%ff", "%c0%af", "INTERNAL", "a"]
        ), max_size=12,
    )
)  # fmt: skip
@example(["internal", "/", "report", "/", "..", "/", "..", "/"])
@example(["internal", "%2F", "report"])
@example(["/", "internal", "/", "/", "report"])
def test_no_server_finds_beneath_a_prefix_what_is_not_matched_there(parts: list[str]) -> None:
    target = "/" + "".join(parts)
    try:
        path = normalise_path(target)
    except BadRequestError:
        return
    forwarded = strip_prefix(target, path, "")
    assert normalise_path(forwarded) == path
    assert not forwarded.startswith("//"), "else it is /b at the authority a"
    for reading in readings(forwarded):
        for prefix in ("/internal/", "/internal/report/"):
            assert not reading.startswith(prefix) or path.startswith(prefix)
        assert not {".", ".."} & set(reading.split("/"))


@pytest.mark.parametrize(
    "target",
    ["/internal;x/report", "/internal./report", "/internal%5Creport", "/internal%20/report",
     "/INTERNAL/report", "/internal%252Freport", "/internal%3F/report", "/internal%00/report",
     "/internal%c0%afreport", "/%ef%bc%8finternal/report", "/internal%09/report"],
)  # fmt: skip
def test_what_is_another_path_though_some_servers_differ(target: str) -> None:
    """They leave out `;x`, trailing dots or case, decode twice, or take a backslash for a slash.

    None of Python's is among them; a server that is must not be protected by paths alone.
    """
    with contextlib.suppress(BadRequestError):
        assert not normalise_path(target).startswith("/internal/")


@given(st.text())
def test_raises_nothing_else(target: str) -> None:
    with contextlib.suppress(BadRequestError):
        normalise_path(target)


@pytest.mark.parametrize(
    ("target", "prefix", "stripped"),
    [
        ("/api/a/b?c=/api/", "/api", "/a/b?c=/api/"),
        ("/api/", "/api", "/"),
        ("/api/a%2Fb%20c", "/api", "/a%2Fb%20c"),
        ("/%61pi/a%20b?q", "/api", "/a%20b?q"),
        ("//api/a", "/api", "/a"),
        ("/api//evil.example/a", "/api", "/evil.example/a"),
        ("/api%2Fa", "/api", "/a"),
        ("/%61pi/%ff%C3%A9", "/api", "/%FF%C3%A9"),
        ("/api", "/api", "/"),
        ("/api?x", "/api", "/?x"),
        ("/a/b/c", "/a/b", "/c"),
        ("//a.example//b%2F?c=//", "", "/a.example//b%2F?c=//"),
        ("/a//b", "", "/a//b"),
    ],
)
def test_strip_prefix(target: str, prefix: str, stripped: str) -> None:
    assert strip_prefix(target, normalise_path(target), prefix) == stripped


@given(spellings())
def test_stripped_targets_mean_the_rest_of_the_path(pair: tuple[str, str]) -> None:
    target = "/api" + pair[1]
    path = normalise_path(target)
    if path.startswith("/api/"):
        assert normalise_path(strip_prefix(target, path, "/api")) == path[4:]
