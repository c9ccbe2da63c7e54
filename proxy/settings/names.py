"""Names that the file gives to upstreams and rate limits."""

import re

from proxy.settings.problem import WrongValueError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)


def given_name(value: object) -> str:
    """Return the name of an upstream or of a rate limit.

    Raises:
        WrongValueError: It holds something else than letters, digits, `_`, `-` and `.`.
    """
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or not _NAME.fullmatch(text):
        raise WrongValueError("a name is made of letters, digits, _ - and .")
    return text
