"""Values of two forms, a word or a table of keys: what tells pydantic which of the two it reads.

A tag turns up in the paths of errors; its `~` tells it from a key of the file.
"""

from pydantic import Discriminator, Tag

from proxy.settings.fields import Table

_WORD = "~word"
_TABLE = "~table"

WORD = Tag(_WORD)
"""Marks the branch of a union for whatever is written as a single word."""
TABLE = Tag(_TABLE)
"""Marks the branch for tables."""
TAGS = frozenset({_WORD, _TABLE})


def _form(value: object) -> str:
    return _TABLE if isinstance(value, dict | Table) else _WORD


BY_FORM = Discriminator(_form)
