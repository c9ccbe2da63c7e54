"""Giving up root: which user the processes that meet the world become, and how."""

import ctypes
import grp
import os
import pwd
import resource
from dataclasses import dataclass

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


class PrivilegeError(Exception):
    """The user cannot be had, or root could not be given up. The text is for the user."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to become: ids and groups, looked up once while everything can be read."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def identity_of(user: str) -> Identity:
    """Return the user with this name or number, as "www-data", "www-data:adm" or "33".

    Raises:
        PrivilegeError: There is no such user or group.
    """
    name, colon, group = user.partition(":")
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise PrivilegeError(
            f"there is no user {name!r} on this machine: `user` names whom the workers run as"
        ) from None
    gid = entry.pw_gid
    if colon:
        try:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
        except KeyError:
            raise PrivilegeError(f"there is no group {group!r} on this machine") from None
    groups = tuple(sorted(os.getgrouplist(entry.pw_name, gid)))
    return Identity(entry.pw_name, entry.pw_uid, gid, groups)


def plan(user: str | None, effective_uid: int) -> Identity | None:
    """Return whom to become, None to stay as started: only root can become somebody else.

    Raises:
        PrivilegeError: There is no such user or group.
    """
    if not user or effective_uid != 0:
        return None
    identity = identity_of(user)
    return None if identity.uid == 0 else identity


def become(identity: Identity | None) -> None:
    """Become `identity`, for good, and let nothing this process runs gain privileges.

    Nor is its memory, with the keys in it, written to a core file or shown to its user's other
    processes (prctl(2), PR_SET_DUMPABLE; a change of user alone would not do it where
    fs.suid_dumpable says otherwise).

    Raises:
        PrivilegeError: Something of root is left.
    """
    if identity is not None:
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
        if {*os.getresuid()} != {identity.uid} or {*os.getresgid()} != {identity.gid}:
            raise PrivilegeError(f"could not give up root for {identity.name}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where a sandbox forbids these the proxy still runs: they are a second line of defence.
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
