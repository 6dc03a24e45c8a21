"""How many files and sockets this process may have open."""

from __future__ import annotations

import resource
from dataclasses import replace

from twisted.logger import Logger

from pixelboot.http.connection.settings import LimitSettings

SPARE = 512
"""Descriptors for everything but the connections of HTTP: files that are sent, the other services, the decoders."""

_log = Logger(namespace="pixelboot.http")


def affordable(limits: LimitSettings, *, own: bool) -> LimitSettings:
    """The limits with no more connections than there can be descriptors for.

    The soft limit of a process of our `own` is raised to what is wanted, as far as the hard one lets it.
    """
    wanted = limits.connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft
    if own and not _suffices(soft, wanted):
        most = wanted if _suffices(hard, wanted) else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if _suffices(most, wanted):
        return limits
    connections = max(most // 2, most - SPARE)
    _log.warn(
        "http.limits.connections = {wanted}, but this process may have {most} files and sockets open (ulimit -Hn), so "
        "no more than {connections} connections are kept",
        wanted=limits.connections,
        most=most,
        connections=connections,
    )
    return replace(limits, connections=connections)


def _suffices(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
