"""A file or a text becomes Settings, or an error that tells every mistake in it."""

import os
from collections.abc import Mapping

from proxy.settings.check import check
from proxy.settings.document import TEXT_LIMIT, read_document
from proxy.settings.models import Settings
from proxy.settings.problem import Problem, SettingsError


def load_text(text: str, name: str, environ: Mapping[str, str], folder: str) -> Settings:
    """Return the settings in `text`.

    Args:
        text: The YAML.
        name: What problems call the file.
        environ: Variables for `${VAR}`.
        folder: What relative paths in the text are relative to.

    Raises:
        SettingsError: With every problem.
    """
    document = read_document(text, name, environ, folder)
    settings, problems = check(document, folder)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings.read_from(document)


def load(path: str, environ: Mapping[str, str]) -> Settings:
    """Return the settings in the file at `path`; relative paths in it start at its folder.

    Raises:
        SettingsError: The file cannot be read, or with every problem in it.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - nothing else of pathlib is needed
            data = file.read(TEXT_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError is for a NUL in the path
        reason = getattr(error, "strerror", None) or "there is no such path"
        message = f"cannot read the configuration: {reason}"
        raise SettingsError((Problem(path, 0, 0, "", message),)) from None
    if len(data) > TEXT_LIMIT:
        message = f"larger than {TEXT_LIMIT >> 20} MB: is this a configuration?"
        raise SettingsError((Problem(path, 0, 0, "", message),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise SettingsError((Problem(path, line, column, "", "not UTF-8 text"),)) from None
    return load_text(text, path, environ, os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH120 - text in, text out
