from proxy.compiler.describe import Row, describe
from tests.compiler.compiling import program


def test_a_row_for_each_route_in_the_order_of_trial() -> None:
    rows = describe(
        program(
            """
            limits: {body: off}
            upstreams: {app: {servers: [http://app:8000]}}
            sites:
              - hosts: [localhost, "*.localhost"]
                default: true
                headers: {Strict-Transport-Security: null}
                routes:
                  - path: /
                    proxy: app
                    limits: {body: 10MB}
                    response_headers: {X-Frame-Options: DENY}
                  - {path_regex: "^/a b$", methods: [POST], respond: 204}
                  - {path: /api/, proxy: app, headers: {X-Beta: "1"}, timeouts: {response: 90s}}
                  - {path: /go, redirect: /new/}
            """
        )
    )
    assert [row.path for row in rows] == ["/go", "/api/", "/", "~^/a b$"]
    assert {row.site for row in rows} == {"localhost *.localhost (default)"}
    base = ("X-Content-Type-Options: nosniff", "X-Frame-Options: SAMEORIGIN")
    policy = "Referrer-Policy: no-referrer-when-downgrade"
    assert rows[0] == Row(
        site="localhost *.localhost (default)",
        path="/go",
        methods="any",
        conditions="",
        action="redirect 302 /new/",
        policies="",
        limits="body unlimited",
        headers=(*base, policy),
    )
    assert (rows[1].conditions, rows[1].limits) == ("x-beta: 1", "body unlimited, response 90 s")
    assert rows[2].limits == "body 10 MB, response 60 s"
    assert "X-Frame-Options: DENY" in rows[2].headers
    assert (rows[3].methods, rows[3].action) == ("POST", "respond 204")


def test_only_the_default_site_is_marked() -> None:
    rows = describe(program("sites: [{hosts: [localhost], routes: [{path: /, respond: 204}]}]"))
    assert [row.site for row in rows] == ["localhost"]


def test_policies_are_told_in_the_order_in_which_they_come() -> None:
    (row,) = describe(
        program(
            """
            rate_limits: {api: {rate: 5/second}}
            sites:
              - hosts: [localhost]
                compress: on
                routes:
                  - {path: /, proxy: "http://app:80", rate_limit: api, allow: 10.0.0.0/8, cache: 1d}
            """
        )
    )
    assert row.policies == "by address, rate limit, cache headers, compression"
