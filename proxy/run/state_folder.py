"""Where the state folder of a configuration is, found without understanding all of it.

The commands that speak to a running proxy need the folder and nothing else. They have to be
quick, and they have to work while the file holds a mistake elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path

from proxy.settings.document import read_document
from proxy.settings.problem import SettingsError

DEFAULT = "certs"
"""As in `Settings.state_dir`, whose import would take longer than everything here."""


class NoStateFolderError(Exception):
    """The file does not tell. The text is for the user."""


def state_folder(path: str, environ: Mapping[str, str]) -> Path:
    """Return the state folder of the configuration in a file.

    Raises:
        NoStateFolderError: The file cannot be read or is no YAML, or what it says is no path.
    """
    file = Path(path)
    folder = file.absolute().parent
    try:
        document = read_document(file.read_text(), path, environ, str(folder))
    except OSError as error:
        raise NoStateFolderError(f"{path}: cannot read it: {error.strerror}") from None
    except (SettingsError, UnicodeDecodeError) as error:
        raise NoStateFolderError(str(error)) from None
    top = document.value
    value = top.get("state_dir", DEFAULT) if isinstance(top, dict) else DEFAULT
    if ("state_dir",) in document.broken or not isinstance(value, str) or not value:
        raise NoStateFolderError(f"{path}: state_dir is no path")
    return folder / value
