from pathlib import Path

import pytest

from proxy.settings.advice import warnings
from proxy.settings.load import load
from tests.settings.loading import SITE, route
from tests.settings.test_advice import advice
from tests.settings.test_users import BCRYPT

ROUTES = """\
upstreams: {app: {servers: ["http://app:8000"]}}
sites:
- hosts: [localhost]
  routes:
"""


def only(text: str) -> str:
    (line,) = advice(text)
    return line


def test_limits_nobody_uses() -> None:
    assert only(f"rate_limits: {{a: {{rate: 1/s, burst: 5}}}}\n{SITE}") == (
        "1:15: rate_limits.a: no route uses this rate limit"
    )
    text = "rate_limits: {a: {rate: 1/s, burst: 5}}\n"
    assert advice(text + SITE.replace("path: /,", "path: /, rate_limit: a,")) == []
    assert advice(text + SITE.replace("    routes:", "    rate_limit: a\n    routes:")) == []
    taken = SITE.replace("    routes:", "    rate_limit: a\n    routes:").replace(
        "path: /,", "path: /, rate_limit: off,"
    )
    assert "no route uses" in only(text + taken)


@pytest.mark.parametrize(
    ("limit", "methods", "told"),
    [
        ("{rate: 1/s}", "", True), ("{rate: 1/s}", "methods: [POST],", False),
        ("{rate: 1/s}", "methods: [GET, POST],", True), ("{rate: 1/s, burst: 1}", "", False),
        ("{rate: 1/s, key: global}", "", False),
    ],
)  # fmt: skip
def test_pages_ask_for_several_things_at_once(limit: str, methods: str, *, told: bool) -> None:
    text = f"rate_limits: {{a: {limit}}}\n" + SITE.replace(
        "path: /,", f"path: /, {methods} rate_limit: a,"
    )
    assert [("without a `burst`" in line) for line in advice(text)] == [True] * told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("allow: [10.0.0.0/8], deny: all", ""),
        ("allow: [10.0.0.0/8]", ""),
        ("allow: all, deny: [10.0.0.0/8]", ""),
        ("allow: [10.0.0.0/8], deny: [10.0.0.0/8]", "allow[0]: it is denied too, and of two alike"),
        ("allow: all, deny: all", "it is denied too, and of two alike"),
        ("allow: [10.0.0.0/8, all]", "allow[1]: everybody is let in without it, too"),
        ("allow: ['::/0']", "allow[0]: everybody is let in without it, too"),
    ],
)
def test_doors_that_only_look_shut(text: str, told: str) -> None:
    found = advice(route(f"{{path: /, proxy: app, {text}}}"))
    assert len(found) == bool(told)
    assert all(told in line for line in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/admin/, deny: all", True),
        ("/admin/, forward_auth: {url: 'http://auth/verify'}", True),
        ("/admin/", False),
        ("/admin, deny: all", False),
        ("/admin/, deny: all, proxy: app}\n  - {path: /admin, deny: all", False),
        ("/admin/, deny: all, proxy: app}\n  - {path: /admin", True),
        ("/admin/, deny: all, proxy: app}\n  - {path: /admin, methods: POST, deny: all", True),
        (
            "/admin/, deny: all, proxy: app}\n  - {path: /admin, redirect: /admin/}\n  - {path: /x",
            False,
        ),
        ("/a/b/, deny: all, proxy: app}\n  - {path: /a/, deny: all", False),
    ],
)
def test_a_path_without_its_slash_is_another_routes(text: str, *, told: bool) -> None:
    routes = f"  - {{path: /, proxy: app}}\n  - {{path: {text}, proxy: app}}"
    found = [line for line in advice(f"{ROUTES}{routes}\n") if "routes[1].path: /a" in line]
    assert len(found) == told
    assert all("/admin is not beneath it: that is the route /" in line for line in found)
    assert all(line.endswith("{path: /admin, redirect: /admin/}") for line in found)


def test_where_nobody_else_serves_it_the_client_is_sent_to_the_slash() -> None:
    assert advice(f"{ROUTES}  - {{path: /admin/, proxy: app, deny: all}}\n") == []


AUTH = f"basic_auth: {{users: {{a: '{BCRYPT}'}}}}"


def test_passwords_over_plain_http() -> None:
    plain = SITE.replace("    routes:", f"    tls: off\n    {AUTH}\n    routes:")
    assert only(plain) == (
        "4:5: sites[0].basic_auth: without TLS whoever is in between reads the passwords"
    )
    assert advice(f"trusted_proxies: private\n{plain}") == []
    both = SITE.replace("    routes:", "    redirect_http: off\n    routes:").replace(
        "path: /,", f"path: /, {AUTH},"
    )
    assert "sites[0].routes[0].basic_auth: `redirect_http` is off" in only(both)
    assert advice(f"listen: {{http: null}}\n{both}") == []
    assert advice(SITE.replace("path: /,", f"path: /, {AUTH},")) == []


def test_errors_with_nothing_in_their_place() -> None:
    text = route("{path: /, proxy: app, intercept_errors: on}")
    assert "there are no `error_pages` to put in their place" in only(text)
    assert advice(f"error_pages: {{404: a.html}}\n{text}") == []
    assert "sites[0].intercept_errors" in only(
        SITE.replace("    routes:", "    intercept_errors: on\n    routes:")
    )


def files(folder: Path, text: str) -> list[str]:
    path = folder / "conf" / "proxy.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"sites: [{{hosts: [localhost], routes: [{{path: /, {text}}}]}}]\n")
    return [f"{one.path}: {one.message}" for one in warnings(load(str(path), {}))]


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("x")
    (tmp_path / "robots.txt").write_text("x")
    place = "sites[0].routes[0].files"
    assert files(tmp_path, "files: ../www, fallback: index.html") == []
    gone = f"there is no folder {tmp_path}/gone"
    assert files(tmp_path, "files: ../gone") == [f"{place}: {gone}"]
    assert files(tmp_path, "files: {root: ../gone}") == [f"{place}.root: {gone}"]
    assert files(tmp_path, "files: ../www, fallback: app.html") == [
        f"sites[0].routes[0].fallback: there is no file {tmp_path}/www/app.html"
    ]
    (told,) = files(tmp_path, "files: ../robots.txt")
    assert told.startswith(f"{place}: {tmp_path}/robots.txt is a file: ")
    (told,) = files(tmp_path, "files: /etc")
    assert told == f"{place}: a folder of the system: whatever is in it is served"
    one = tmp_path / "conf" / "proxy.yaml"
    one.write_text(
        one.read_text().replace("path: /, files: /etc", "path: /r, files: ../robots.txt")
    )
    assert warnings(load(str(one), {})) == ()


def test_the_configuration_itself_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(
        "state_dir: /var/lib/none\nsites: [{hosts: [localhost], routes: [{path: /, files: .}]}]\n"
    )
    (told,) = warnings(load(str(path), {}))
    assert told.message == "the configuration itself lies beneath it, and is served"


@pytest.mark.parametrize(("cache", "told"), [("1y", True), ("1h", False), ("no-cache", False)])
def test_an_applications_first_page_kept_for_long(
    tmp_path: Path, cache: str, *, told: bool
) -> None:
    (tmp_path / "index.html").write_text("x")
    text = f"files: {tmp_path}, fallback: index.html, cache: {cache}"
    found = advice(route(f"{{path: /, {text}}}, {{path: /x, proxy: app}}"))
    assert [("see no new release" in line) for line in found] == [True] * told
