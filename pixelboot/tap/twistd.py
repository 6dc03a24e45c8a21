"""The makers of the ``twistd`` plugins, and what is done only where the whole process is pixelboot's own.

A maker opens everything before it returns: the state folder is locked and every port is bound, or the process ends
with status 1 and one line that says what is wrong.  Nothing is answered before the reactor runs.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from twisted.application.service import IService
from twisted.internet.error import ReactorNotRunning

from pixelboot.malformed import Malformed
from pixelboot.site import Site
from pixelboot.tap.examine import EVERYTHING
from pixelboot.tap.options import DhcpOptions, HttpOptions, Options, TftpOptions, refuse
from pixelboot.tap.parts import build

MOST_DESCRIPTORS = 65536
"""Open files that are enough for every limit in the settings at once."""


def makeService(options: Options) -> IService:
    """The whole of pixelboot, for ``twistd pixelboot``."""
    return _serve(options.site, EVERYTHING)


def makeDhcpService(options: DhcpOptions) -> IService:
    """DHCP alone, for ``twistd pixelboot-dhcp``."""
    return _serve(options.site, frozenset({"dhcp"}))


def makeTftpService(options: TftpOptions) -> IService:
    """TFTP alone, for ``twistd pixelboot-tftp``."""
    return _serve(options.site, frozenset({"tftp"}))


def makeHttpService(options: HttpOptions) -> IService:
    """HTTP alone, for ``twistd pixelboot-http``."""
    return _serve(options.site, frozenset({"http"}))


def _serve(site: Site, parts: frozenset[str]) -> IService:
    from twisted.internet import reactor

    _take_descriptors()
    # The reactor's own clock is the wall clock, and a step of that backwards would freeze every timer.
    setattr(reactor, "seconds", time.monotonic)  # noqa: B010 - mypy knows it as a method
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # and is not ignored, as under nohup
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reactor.stop))  # type: ignore[attr-defined]
    # A second signal while the first is obeyed is no error.
    setattr(reactor, "stop", _once(reactor.stop))  # noqa: B010
    try:
        server = build(site, parts, reactor, end=reactor.stop, own=True)
    except Malformed as problem:
        refuse(problem)

    def fail() -> None:
        if server.failed:
            os._exit(1)

    # twistd has no way to tell a failure after the reactor began.  At exit its log is written and its pid file gone.
    atexit.register(fail)
    return server


def _take_descriptors() -> None:
    """Every transfer has a file open: take as many descriptors as the system allows without asking for a right."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _once(stop: Callable[[], None]) -> Callable[[], None]:
    """The same as `stop`, but that it does nothing when there is nothing to stop any more."""

    def stop_once() -> None:
        with suppress(ReactorNotRunning):
            stop()

    return stop_once
