import pytest

from proxy.settings.files import Cache, Files
from proxy.settings.models import Route
from tests.settings.loading import only, route, settings


def one(text: str) -> Route:
    return settings(route(f"{{path: /x/, {text}}}")).sites[0].routes[0]


def wrong(text: str) -> str:
    return only(route(f"{{path: /x/, {text}}}"))


def test_a_folder() -> None:
    found = one("files: www").files
    assert found == Files(root="/srv/www")
    assert found is not None
    assert (found.index, found.precompressed) == (("index.html",), True)
    assert (found.symlinks, found.dotfiles) == (False, False)


def test_a_table() -> None:
    found = one("files: {root: /a, index: [a.html, b.htm], symlinks: on, dotfiles: yes,"
                " precompressed: off}, fallback: app/index.html")  # fmt: skip
    assert found.files == Files(
        root="/a", index=("a.html", "b.htm"), symlinks=True, dotfiles=True, precompressed=False
    )
    assert found.fallback == "app/index.html"
    assert one("files: {root: /a, index: off}").files == Files(root="/a", index=())
    assert one("files: {root: /a, index: a.html}").files == Files(root="/a", index=("a.html",))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("files: {}", "files.root: the key `root` is missing"),
        ("files: 3", "files: expected a table of keys"),
        ("files: ''", "expected some text, not nothing"),
        ("files: {root: /a, index: a/b.html}", "the name of a file such as index.html"),
        ("files: {root: /a, index: .htaccess}", "the name of a file such as index.html"),
        ("files: {root: /a, index: ..}", "the name of a file such as index.html"),
        ("files: {root: /a, autoindex: on}", "unknown key; did you mean `index`?"),
        ("files: /a, fallback: /index.html", 'found "/index.html"; did you mean "index.html"?'),
        ("files: /a, fallback: ../x", "fallback: expected a file beneath the root, without dot"),
        ("files: /a, fallback: a/../x", "without dot segments"),
        ("files: /a, fallback: a//x", "without dot segments"),
        ("files: /a, fallback: a/", "without dot segments"),
        ("files: /a, fallback: .env", "without dot segments"),
        ("files: /a, fallback: ''", "such as index.html"),
        ('files: /a, fallback: "a\\nb"', "without dot segments"),
    ],
)  # fmt: skip
def test_mistakes(text: str, part: str) -> None:
    assert part in wrong(text)


@pytest.mark.parametrize(
    ("text", "cache"),
    [
        ("30d", Cache(age=2592000)), ("1y", Cache(age=31536000)), ("7d", Cache(age=604800)),
        ("60", Cache(age=60)), ("{age: 1y, immutable: on}", Cache(age=31536000, immutable=True)),
        ("no-store", "no-store"), ("no-cache", "no-cache"), ("off", "off"), ("false", "off"),
    ],
)  # fmt: skip
def test_times_to_keep(text: str, cache: object) -> None:
    assert one(f"proxy: app, cache: {text}").cache == cache


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nostore", 'did you mean "no-store"?'),
        ("30 d", 'did you mean "30d"?'),
        ("0", "expected whole seconds, at least one; see no-cache"),
        ("500ms", "expected whole seconds"),
        ("1.5s", "expected whole seconds"),
        ("on", "expected a time such as 30d, no-store, no-cache, off, or {age: 1y, immutable: on}"),
        ("{immutable: on}", "the key `age` is missing"),
        ("{age: forever}", "cache.age: expected a time"),
        ("[1y]", "expected a time"),
        ("200y", "expected a time"),
    ],
)
def test_mistakes_in_times(text: str, part: str) -> None:
    assert part in wrong(f"proxy: app, cache: {text}")
