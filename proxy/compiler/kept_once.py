"""What routes share: equal settings become one and the same object.

What is remembered at run time, of addresses, heads or files, is then remembered once for all routes
that are alike, and in the programs before and after a reload. It is kept for as long as one of the
programs has it and no longer, so that nothing stays of the configurations of yesterday.
"""

from collections.abc import Callable, Hashable
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

P = ParamSpec("P")
Made = TypeVar("Made")


def kept_once(make: Callable[P, Made]) -> Callable[P, Made]:
    """Return a function that makes what `make` does, once for equal arguments.

    Args:
        make: Takes what can be a key, and returns what can be referred to weakly.
    """
    kept: WeakValueDictionary[Hashable, Made] = WeakValueDictionary()

    def find(*args: P.args, **kwargs: P.kwargs) -> Made:
        key = args, tuple(sorted(kwargs.items()))
        made = kept.get(key)
        if made is None:
            made = kept[key] = make(*args, **kwargs)
        return made

    return find
