"""Which content codings a client takes (RFC 9110, 12.5.3), best first.

A coding that the field names counts with its own weight, any other with that of `*`, and one that
is neither named nor covered is not taken. A coding must be worth as much to the client as the
answer left as it is: `identity`, which has no weight unless the field gives it one. What breaks the
grammar counts as not said, so that nobody is sent what they may not understand.

A request without the field takes any coding by the letter of the standard; like every server we
send it none, since those who say nothing are mostly those who cannot decode.
"""

import re
from functools import lru_cache

from proxy.message.edit import either_case

_MOST_BYTES = 512
"""A browser's field has 25 bytes; one that is longer than this is taken for none."""

_find_values = re.compile(rf"\n{either_case('accept-encoding')}:[ \t]*([^\r\n]*)".encode()).findall
_element = re.compile(
    rb"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*"
    rb"(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
).fullmatch


def acceptable_in(block: bytes, offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `offered` that the sender of a request with this field block takes."""
    # A line is found by the LF that ends the one before, so the block is led by one.
    values = _find_values(b"\n" + block)
    if not values:
        return ()
    return acceptable(values[0] if len(values) == 1 else b",".join(values), offered)


def acceptable(value: bytes, offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `offered` that a field's value takes, best first.

    Args:
        value: Of Accept-Encoding; several fields are one with commas between (RFC 9110, 5.3).
        offered: Codings in lower case, without `identity`. Those of equal weight stay in order.
    """
    return () if len(value) > _MOST_BYTES else _ranked(value, offered)


def negotiate(value: bytes, offered: tuple[str, ...]) -> str:
    """Return the one of `offered` that a field's value takes most gladly; "" for none."""
    return next(iter(acceptable(value, offered)), "")


@lru_cache(maxsize=256)  # Clients send few distinct values; both sides of an entry are short.
def _ranked(value: bytes, offered: tuple[str, ...]) -> tuple[str, ...]:
    weights = _weights(value)
    others = weights.get("*", 0)
    floor = max(1, weights.get("identity", others))
    worth = {coding: weights.get(coding, others) for coding in offered}
    taken = [coding for coding in offered if worth[coding] >= floor]
    return tuple(sorted(taken, key=lambda coding: -worth[coding]))


def _weights(value: bytes) -> dict[str, int]:
    """Return the weights in thousandths by coding; of one that is named twice the first counts."""
    weights: dict[str, int] = {}
    for text in value.split(b","):
        found = _element(text)
        if found is not None:
            name = found[1].decode("ascii").lower()
            name = "gzip" if name == "x-gzip" else name  # RFC 9110, 8.4.1.3
            weight = 1000 if found[2] is None else round(float(found[2]) * 1000)
            weights.setdefault(name, weight)
    return weights
