from proxy.compiler.files import files_plan
from proxy.files.plan import FilesPlan
from tests.compiler.compiling import found, settings, site_of


def plan(route: str) -> FilesPlan | None:
    text = f"sites: [{{hosts: [localhost], routes: [{route}]}}]"
    return files_plan(settings(text).sites[0].routes[0])


def test_a_prefix_stands_for_the_folder() -> None:
    assert plan("{path: /static/, files: /app/staticfiles}") == FilesPlan(
        "/app/staticfiles", prefix="/static/"
    )


def test_an_exact_path_is_one_file() -> None:
    assert plan("{path: /img/favicon.ico, files: /srv/favicon.ico}") == FilesPlan(
        "/srv/favicon.ico", prefix="/img/", exact=True
    )


def test_a_regular_expression_has_the_whole_path_beneath_the_root() -> None:
    assert plan("{path_regex: '[.]css$', files: /srv/www}") == FilesPlan("/srv/www", prefix="/")


def test_all_that_can_be_said_is_passed_on() -> None:
    assert plan(
        "{path: /, files: {root: www, index: [a.html, b.html], symlinks: on, dotfiles: on,"
        " precompressed: off}, fallback: app/index.html}"
    ) == FilesPlan(
        "/srv/www",
        index=("a.html", "b.html"),
        fallback="app/index.html",
        symlinks=True,
        dotfiles=True,
        precompressed=False,
    )


def test_no_index_is_none() -> None:
    made = plan("{path: /, files: {root: www, index: off}}")
    assert made is not None
    assert made.index == ()


def test_other_routes_have_no_plan() -> None:
    assert plan("{path: /, proxy: 'http://app:8000'}") is None


def test_a_route_has_its_plan_and_says_so() -> None:
    route = found(site_of("{path: /static/, files: /srv/www}"), "/static/app.css")
    assert route.files == FilesPlan("/srv/www", prefix="/static/")
    assert route.action == "files /srv/www"
