"""Did you mean …? The nearest right spelling of a wrong word."""

import difflib
from collections.abc import Iterable


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the allowed word that `word` was probably meant to be, or "" if none is near."""
    spelt = {one.lower().replace("-", "_"): one for one in allowed}
    wanted = word.strip().lower().replace("-", "_")[:80]
    if wanted in spelt:
        return spelt[wanted]
    found = difflib.get_close_matches(wanted, spelt, n=1, cutoff=0.6)
    return spelt[found[0]] if found else ""
