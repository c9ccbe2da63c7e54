"""Hashes that cost a test nothing."""

from argon2 import PasswordHasher

_quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def quick_hash(password: str) -> str:
    """An argon2id hash that any machine checks in well under a millisecond."""
    return _quick.hash(password)
