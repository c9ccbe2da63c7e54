from pathlib import Path

import pytest

from tests.settings.loading import SITE, lines, only, route, settings


def test_a_route_names_an_upstream() -> None:
    assert only(route("{path: /, proxy: ap}")) == (
        '4:31: sites[0].routes[0].proxy: no upstream has this name, found "ap"; did you mean `app`?'
    )
    assert "nor is it an address" in only(route("{path: /, proxy: zebra}"))


def test_routes_that_tie() -> None:
    line = only(route("{path: /, proxy: app}, {path: /a, respond: 204}, {path: /, respond: 204}"))
    assert "sites[0].routes[2]: ties with sites[0].routes[0]" in line


@pytest.mark.parametrize(
    "second",
    [
        "{path: /, methods: [POST], respond: 204}",
        "{path: /, headers: {X-A: 1}, respond: 204}",
        "{path: /x, respond: 204}",
        "{path_regex: /, respond: 204}",
    ],
)
def test_routes_that_do_not_tie(second: str) -> None:
    assert len(settings(route(f"{{path: /, proxy: app}}, {second}")).sites[0].routes) == 2


@pytest.mark.parametrize(
    ("first", "second", "tie"),
    [
        ("methods: [GET]", "methods: [POST]", False),
        ("methods: [GET, POST]", "methods: [POST]", True),
        ("headers: {X-A: 1}", "headers: {x-a: 2}", False),
        ("headers: {X-A: 1}", "headers: {X-B: 2}", True),
        ("methods: [GET]", "headers: {X-A: 1}", True),
        ("methods: [GET], headers: {X-A: 1}", "headers: {X-A: 1}", False),
    ],
)
def test_ties_with_conditions(first: str, second: str, tie: bool) -> None:  # noqa: FBT001 - a table
    text = route(f"{{path: /, {first}, respond: 204}}, {{path: /, {second}, respond: 200}}")
    assert bool(lines(text)) is tie


def test_one_regular_expression_twice_ties() -> None:
    text = route("{path_regex: x, respond: 204}, {path_regex: x, respond: 200}")
    assert "ties with" in only(text)


def two(first: str, second: str) -> str:
    sites = (f"  - {{{one}, routes: [{{path: /, respond: 204}}]}}\n" for one in (first, second))
    return "sites:\n" + "".join(sites)


def test_hosts_belong_to_one_site() -> None:
    line = only(two("hosts: [localhost, a.test]", "hosts: [A.TEST]"))
    assert line == "3:14: sites[1].hosts[0]: this host is given already, as sites[0].hosts[1]"
    assert "is given already" in only(two("hosts: [b.test, b.test]", "hosts: [c.test]"))


def test_one_site_is_the_default() -> None:
    text = two("hosts: [a.test], default: true", "hosts: [b.test], default: true")
    assert "only one site can be the default: sites[0] is" in only(text)


def test_listeners() -> None:
    assert "nothing to listen on" in only(f"listen: {{http: off, https: off}}\n{SITE}")
    assert "given for http" in only(f'listen: {{http: ":80", https: ":80"}}\n{SITE}')
    assert "given twice" in only(f'listen: {{http: [":80", ":80"]}}\n{SITE}')
    assert lines(f'listen: {{http: "127.0.0.1:0", https: "127.0.0.1:0"}}\n{SITE}') == []


def test_tls_needs_a_listener() -> None:
    plain = SITE.replace("    routes:", "    tls: off\n    routes:")
    assert "`listen.http` is off" in only(f"listen: {{http: off}}\n{plain}")
    signed = SITE.replace("    routes:", "    tls: self_signed\n    routes:")
    assert "only `tls: off` is possible" in only(f"listen: {{https: off}}\n{signed}")


def test_a_site_without_hosts() -> None:
    nameless = "default: true"
    assert "`tls: {cert: …, key: …}` or `tls: off`" in only(two(nameless, "hosts: [a.test]"))
    text = two(f"{nameless}, tls: self_signed", "hosts: [a.test]")
    assert "`tls: {cert: …, key: …}` or `tls: off`" in only(text)
    assert lines(two(f"{nameless}, tls: off", "hosts: [a.test]")) == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{servers: [{url: http://a:1, backup: true}]}", "every server is a backup"),
        ("{servers: [http://a:1, http://A:1]}", "the same server as upstreams.app.servers[0]"),
        ("{servers: [http://a:1], tls: {verify: false}}", "no server of this upstream is https://"),
    ],
)
def test_upstreams(text: str, part: str) -> None:
    assert part in only(f"upstreams: {{app: {text}}}\n{SITE}")


@pytest.mark.parametrize(
    ("root", "told"),
    [
        ("/srv", "`state_dir`, with its private keys, lies in this folder, and would be served"),
        ("certs", "`state_dir`, with its private keys, lies in this folder, and would be served"),
        ("certs/local-ca", "this folder lies in `state_dir`, where private keys are"),
        (
            "/keys",
            "the private key of b.test lies in this folder, and would be served to everybody",
        ),
        ("/users", "sites[1].basic_auth.users_file lies in this folder, and would be served"),
        ("/srv/www", ""),
        ("/key", ""),
        ("/srv/certs-public", ""),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{{root: {}}}"])
def test_no_folder_with_secrets_is_served(root: str, told: str, form: str) -> None:
    files = form.format(root)
    found = lines(
        f"""
        sites:
          - hosts: [a.test]
            routes: [{{path: /, files: {files}}}]
          - hosts: [b.test]
            tls: {{cert: /pem/b.pem, key: /keys/b.key}}
            basic_auth: {{users_file: /users/staff}}
            routes: [{{path: /, respond: 204}}]
        """
    )
    assert [line for line in found if told not in line] == []
    assert bool(found) == bool(told)
    place = "sites[0].routes[0].files" + (".root" if "root" in files else "")
    assert all(f": {place}: " in line for line in found)


def test_nor_one_that_is_the_same_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "releases" / "1").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1")
    text = """
        sites:
          - hosts: [a.test]
            basic_auth: {{users_file: {0}/htpasswd}}
            routes: [{{path: /, files: {1}}}]
        """
    one, other = tmp_path / "releases" / "1", tmp_path / "current"
    for users, root in ((one, other), (other, one)):
        assert "users_file lies in this folder" in only(text.format(users, root))
    assert lines(text.format(tmp_path, other)) == []


def test_a_rule_broken_behind_what_was_taken_out_is_told_at_its_place() -> None:
    text = "sites: [{hosts: [a.test], routes: [7, {path: /, files: /}, {path: /x, rate_limit: a,"
    found = lines(f"{text} respond: 204}}]}}]")
    assert [line.split(": ")[1] for line in found] == [
        "sites[0].routes[0]",
        "sites[0].routes[1].files",
        "sites[0].routes[2].rate_limit",
    ]
