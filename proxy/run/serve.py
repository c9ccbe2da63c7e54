"""From a file to a proxy that serves, and back to nothing."""

import logging
import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

from proxy.certificates.durable import make_folder
from proxy.clock import wall_time
from proxy.net import listen
from proxy.net.listen import ListenError, Listening
from proxy.net.log_files import Logs, open_logs
from proxy.net.tls_contexts import TlsFront
from proxy.run import control, notify, privileges
from proxy.run.fleet import Fleet
from proxy.run.house import House
from proxy.run.in_force import InForce, made_ready
from proxy.run.loading import load
from proxy.run.log_handover import opener_for
from proxy.run.notify import Notifier
from proxy.run.signals import SignalPipe
from proxy.run.supervisor import StartError, Supervisor
from proxy.state.buckets import BucketTable
from proxy.state.shared import SharedState

logger = logging.getLogger("pyproxy.run")


def seats_for(workers: int) -> int:
    """Return how many processes may write to the shared memory at a time.

    Old workers drain while new ones serve, and a reload may ask for more of them. A seat that is
    not taken costs address space and no memory.
    """
    return max(16, 4 * workers)


def listen_everywhere(force: InForce, handed: list[tuple[int, str]]) -> list[Listening]:
    """Listen on every endpoint: on what was handed over, and on sockets of our own for the rest.

    Raises:
        ListenError: An address cannot be listened on.
    """
    endpoints = force.program.endpoints
    found = listen.adopt(handed, endpoints, logger.warning)
    served = {group.endpoint for group in found}
    try:
        for endpoint in endpoints:
            if endpoint not in served:
                own_ports = frozenset(group.endpoint.port for group in found)
                found.append(listen.bind(endpoint, force.workers, own_ports))
    except ListenError:
        for group in found:
            group.close()
        raise
    return found


def announce(force: InForce, listening: list[Listening]) -> None:
    """Tell whoever started the proxy what it does."""
    for group in listening:
        kind = "https" if group.endpoint.tls else "http"
        handed = " (from the service manager)" if group.adopted else ""
        logger.info("listening for %s on %s%s", kind, ", ".join(group.addresses()), handed)
    hosts = [host for site in force.loaded.settings.sites for host in site.hosts]
    shown = ", ".join(hosts[:8]) + (f" and {len(hosts) - 8} more" if len(hosts) > 8 else "")
    logger.info("sites: %s", shown or "the default one")
    if force.loaded.root:
        logger.info("certificates of the local CA: import %s to trust them", force.loaded.root)
    for remark in force.loaded.remarks:
        logger.warning("%s", remark)
    if os.geteuid() == 0:
        whom = force.identity.name if force.identity else "root: set `user` to give that up"
        logger.info("workers run as %s", whom)


def explained(error: OSError, force: InForce) -> str:
    """Return why the state folder or a log cannot be used, in one sentence."""
    where = Path(os.fsdecode(error.filename)) if error.filename else force.state_dir
    if isinstance(error, PermissionError) and (where == force.state_dir or not where.exists()):
        folder = where if where.is_dir() else where.parent
        owner = folder.stat().st_uid if folder.exists() else "?"
        return (
            f"cannot write to {folder}, which belongs to user {owner}: "
            f"this is user {os.geteuid()} (chown {os.geteuid()} {folder})"
        )
    return f"{where}: {error.strerror}"


def prepare_files(force: InForce) -> tuple[Logs, socket.socket]:
    """Return the supervisor's logs and the control socket, in a state folder that is there.

    Raises:
        StartError: Something is in the way, another proxy perhaps.
    """
    try:
        if not force.state_dir.is_dir():
            make_folder(force.state_dir)
        logs = open_logs(force.program.log, opener_for(force.identity))
    except OSError as error:
        raise StartError(explained(error, force)) from None
    try:
        return logs, control.listen(force.state_dir)
    except (control.AlreadyRunningError, OSError) as error:
        logs.close()
        why = explained(error, force) if isinstance(error, OSError) else str(error)
        raise StartError(why) from None


def serve(path: str, environ: MutableMapping[str, str]) -> None:
    """Serve until told to end.

    Args:
        path: The configuration file.
        environ: The environment; what a service manager put there for us alone is taken out.

    Raises:
        LoadError: The configuration cannot be used.
        PrivilegeError: Its user does not exist.
        StartError: Serving could not begin, though the configuration is right.
    """
    handed = notify.take_descriptors(environ, os.getpid())
    watchdog = notify.watchdog_interval(environ, os.getpid())
    privileges.raise_descriptor_limit()
    path = str(Path(path).absolute())
    buckets = BucketTable.create()
    force = made_ready(load(path, environ), 1, wall_time(), buckets)
    logs, own = prepare_files(force)
    try:
        listening = listen_everywhere(force, handed)
        announce(force, listening)
        seats = seats_for(force.workers)
        shared = SharedState.create(seats, buckets)
        house = House(path, environ, force, listening, own, shared, TlsFront(), Fleet(seats))
        signals = SignalPipe()
        signals.install()
        Supervisor(house, signals, Notifier(environ), watchdog, logs.reopen).run()
    except ListenError as error:
        raise StartError(str(error)) from None
    finally:
        own.close()
        control.remove(force.state_dir)
        logs.close()
