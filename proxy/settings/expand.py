"""${VAR} and its kin inside one scalar of the file.

As in Docker Compose: `${VAR}`, `${VAR:-default}` where it is unset or empty, `${VAR:?message}`,
and `$$` for a dollar sign; besides, `${file:/run/secrets/x}` for the contents of a file without
its last line end. A `$` that no `{` follows stands for itself, so that regular expressions and log
formats need no escape. Expansion happens after parsing: no value can bring YAML of its own.
"""

import os
import re
import stat
from collections.abc import Mapping

from proxy.settings.problem import WrongValueError

FILE_LIMIT = 64 * 1024
"""Bytes of a secret; the largest in use, a chain of certificates, stays below it."""

_TOKEN = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FORMS = "write ${VAR}, ${VAR:-default}, ${VAR:?message} or ${file:/path}; $$ is a dollar sign"


def _contents(path: str, folder: str) -> str:
    """Return the text of a file that `${file:…}` names, relative to `folder`."""
    if not path or "\0" in path:
        raise WrongValueError("${file:} needs the path of a file")
    try:
        # A FIFO would block here for ever without O_NONBLOCK.
        handle = os.open(os.path.join(folder, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # noqa: PTH118 - folder may be ""
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise WrongValueError(f"{path} is not a regular file")
            data = os.read(handle, FILE_LIMIT + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise WrongValueError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > FILE_LIMIT:
        raise WrongValueError(f"{path} is larger than {FILE_LIMIT // 1024} KB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WrongValueError(f"{path} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _variable(inner: str, environ: Mapping[str, str]) -> str:
    """Return what `inner`, the text between the braces, stands for."""
    name = _NAME.match(inner)
    if name is None:
        raise WrongValueError(f"cannot read this expansion: {_FORMS}")
    value = environ.get(name[0])
    rest = inner[name.end() :]
    if not rest:
        if value is None:
            raise WrongValueError(
                f"{name[0]} is not set in the environment; ${{{name[0]}:-default}} gives a default"
            )
        return value
    operator, argument = rest[:2], rest[2:]
    if operator == ":-":
        return value or argument
    if operator == ":?":
        if not value:
            raise WrongValueError(
                f"{name[0]} is not set in the environment: {argument}".rstrip(": ")
            )
        return value
    raise WrongValueError(f"cannot read this expansion: {_FORMS}")


def expand(text: str, environ: Mapping[str, str], folder: str) -> str:
    """Return `text` with every expansion done.

    Raises:
        WrongValueError: A variable is not set, a file cannot be read, a form is not known.
    """
    if "$" not in text:
        return text

    def one(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        inner = found[1]
        if inner is None:
            raise WrongValueError(f"a ${{ is not closed, or holds another brace: {_FORMS}")
        if inner.startswith("file:"):
            return _contents(inner.removeprefix("file:"), folder)
        return _variable(inner, environ)

    return _TOKEN.sub(one, text)
