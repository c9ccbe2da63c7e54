"""Files as they get to a server: collected by Django, put in place by others, by other users."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.clients.raw import RawClient
from tests.journeys.running import PATIENCE, StartProxy, eventually, run_command

COLLECT = """
import sys
import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    INSTALLED_APPS=["django.contrib.staticfiles", "django.contrib.admin", "django.contrib.auth",
                    "django.contrib.contenttypes"],
    STATIC_URL="/static/", STATIC_ROOT=sys.argv[1], STATICFILES_DIRS=[sys.argv[2]],
    STORAGES={"staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}},
)
django.setup()
call_command("collectstatic", interactive=False, verbosity=0)
from django.contrib.staticfiles.storage import staticfiles_storage
for name in sys.argv[3:]:
    print(staticfiles_storage.url(name))
"""
SITE = """
{user}
sites:
  - hosts: [localhost]
    routes: [{routes}]
"""


def test_what_django_collected(start_proxy: StartProxy, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "img").mkdir(parents=True)
    (source / "site.css").write_text("body { background: url(img/back.svg) }\n" * 50)
    (source / "img/back.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    collected = tmp_path / "staticfiles"
    names = ("site.css", "img/back.svg", "admin/css/base.css", "admin/js/core.js")
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, str(collected), str(source), *names],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=True,
    )
    urls = done.stdout.split()
    route = "{path: /static/, files: '${ROOT}', cache: {age: 1y, immutable: on}}"
    proxy = start_proxy(
        SITE.format(user="user: null", routes=route),
        tmp_path / "proxy",
        environment={"ROOT": str(collected)},
    )
    with RawClient(proxy) as client:
        for url, name in zip(urls, names, strict=True):
            assert url != f"/static/{name}"
            hashed, plain = client.ask(f"GET {url}"), client.ask(f"GET /static/{name}")
            assert hashed.status == plain.status == 200
            assert hashed.body == (collected / url.removeprefix("/static/")).read_bytes()
            assert hashed["cache-control"] == "max-age=31536000, immutable"
            assert plain["cache-control"] == "max-age=31536000"
        assert urls[1].rpartition("/")[2].encode() in client.ask(f"GET {urls[0]}").body
        assert client.ask("GET /static/staticfiles.json")["content-type"] == "application/json"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_what_the_worker_may_not_read(
    start_proxy: StartProxy, tmp_path: Path, open_folder: Path
) -> None:
    for name in ("open.txt", "closed.txt", "folder/inside.txt"):
        (open_folder / name).parent.mkdir(exist_ok=True)
        (open_folder / name).write_text(name)
        (open_folder / name).chmod(0o644)
    (open_folder / "closed.txt").chmod(0)
    (open_folder / "folder").chmod(0)
    user = "user: nobody" if os.getuid() == 0 else ""
    route = "{path: /, files: '${ROOT}', fallback: open.txt}"
    proxy = start_proxy(
        SITE.format(user=user, routes=route), tmp_path, environment={"ROOT": str(open_folder)}
    )
    with RawClient(proxy) as client:
        assert client.ask("GET /open.txt").body == b"open.txt"
        for path in ("/closed.txt", "/folder/inside.txt", "/folder/"):
            assert client.ask(f"GET {path}").status == 404
        assert client.ask("GET /nothing").body == b"open.txt"
    eventually(lambda: "the worker may not read what is there for '/closed.txt'" in proxy.log())
    (open_folder / "folder").chmod(0o755)  # so that it can be removed


def test_a_missing_folder_is_told_by_check_and_keeps_nobody_from_starting(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    route = "{path: /, files: '${ROOT}'}"
    environment = {"ROOT": str(tmp_path / "none")}
    proxy = start_proxy(
        SITE.format(user="user: null", routes=route), tmp_path / "proxy", environment=environment
    )
    with RawClient(proxy) as client:
        assert client.ask("GET /").status == 404
    told = run_command("check", "--config", str(proxy.config), environment=proxy.environment)
    assert told.returncode == 0
    assert f"there is no folder {tmp_path / 'none'}" in told.stdout + told.stderr


def test_a_reload_serves_other_files_and_finishes_what_began(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    size = 100 * 1024 * 1024
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
        with (tmp_path / name / "large").open("wb") as file:
            file.truncate(size)
    routes = "{path: /, files: " + str(tmp_path) + "/old}"
    proxy = start_proxy(SITE.format(user="user: null", routes=routes), tmp_path / "proxy")
    with RawClient(proxy, small=True) as slow, RawClient(proxy) as client:
        assert client.ask("GET /name").body == b"old"
        slow.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.head()["content-length"] == str(size)
        proxy.config.write_text(proxy.config.read_text().replace("/old}", "/new}"))
        done = run_command("reload", "--config", str(proxy.config), environment=proxy.environment)
        assert done.returncode == 0, done.stderr
        assert client.ask("GET /name").body == b"new"
        shutil.rmtree(tmp_path / "old")
        assert slow.read(size).count(0) == size
