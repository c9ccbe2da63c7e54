from pathlib import Path

import pytest

from proxy.run.state_folder import DEFAULT, NoStateFolderError, state_folder
from proxy.settings.load import load
from proxy.settings.models import Settings

SITES = "sites: [{hosts: [a.test], routes: [{path: /, respond: 204}]}]\n"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "state_dir: state\n",
        "state_dir: ../x\n",
        "state_dir: /srv/x\n",
        'state_dir: "${HERE}/x"\n',
    ],
)
def test_it_is_what_the_whole_configuration_says(tmp_path: Path, line: str) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(line + SITES)
    environ = {"HERE": str(tmp_path)}
    whole = load(str(path), environ).state_dir
    assert state_folder(str(path), environ).resolve() == Path(whole)


def test_the_default_is_the_settings_own() -> None:
    assert Settings.model_fields["state_dir"].default == DEFAULT


def test_mistakes_elsewhere_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("state_dir: /srv/state\nworkerz: 3\nlisten: ${NOWHERE}\n")
    assert state_folder(str(path), {}) == Path("/srv/state")
    path.write_text("")
    assert state_folder(str(path), {}) == tmp_path / "certs"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("state_dir: ${NOWHERE}\n", "state_dir is no path"),
        ("state_dir: [a]\n", "state_dir is no path"),
        ("state_dir: 7\n", "state_dir is no path"),
        ("state_dir: [\n", "proxy.yaml:"),
    ],
)
def test_what_cannot_be_told_is_told(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(text)
    with pytest.raises(NoStateFolderError, match=why):
        state_folder(str(path), {})
    with pytest.raises(NoStateFolderError, match="cannot read it"):
        state_folder(str(tmp_path / "none.yaml"), {})
