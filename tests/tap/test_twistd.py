"""Tests of `pixelboot.tap.twistd`: what the plugins' makers do to a process that is their own."""

from __future__ import annotations

import atexit
import resource
import signal
import time
from collections.abc import Callable
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet import reactor as _reactor
from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import TestCase

from pixelboot.tap import twistd
from pixelboot.tap.options import DhcpOptions, HttpOptions, Options, TftpOptions
from pixelboot.tap.server import Server
from tests.running import folder_for, free_udp_port

reactor = cast("Any", _reactor)


class MakerTests(TestCase):
    """The four makers, in a process that has to be the same afterwards."""

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.stops = 0
        self.at_exit: list[Callable[[], None]] = []
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.patch(reactor, "seconds", reactor.seconds)
        self.patch(reactor, "stop", self.stop)
        self.patch(atexit, "register", self.at_exit.append)

    def stop(self) -> None:
        """The reactor's stop: it can be stopped once."""
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning

    def options(self, kind: type[Options], *words: str) -> Any:
        """A command line, read."""
        options = kind()
        options.parseOptions(["--state", f"{self.folder}/state", *words])
        return options

    async def test_each_makes_its_part(self) -> None:
        """And no other; what was made is stopped without having been started."""
        port, other = str(free_udp_port()), str(free_udp_port())
        listen = ("--listen", "tcp:0:interface=127.0.0.1")
        made: list[tuple[IService, str]] = [
            (twistd.makeTftpService(self.options(TftpOptions, "--port", port, "--address", "127.0.0.1")), "tftp"),
        ]
        await cast("Server", made[0][0]).stopService()
        made.append((twistd.makeHttpService(self.options(HttpOptions, *listen)), "http"))
        await cast("Server", made[1][0]).stopService()
        words = ("--interface", "lo", "--port", port, "--proxy-port", other)
        made.append((twistd.makeDhcpService(self.options(DhcpOptions, *words)), "dhcp"))
        await cast("Server", made[2][0]).stopService()
        for service, name in made:
            services = {"dhcp", "tftp", "http"}
            self.assertEqual({str(part.name) for part in cast("Server", service)} & services, {name})

    async def test_the_process_is_its_own(self) -> None:
        """Its clock cannot be set back, and a second signal to stop is no error."""
        words = ("--tftp-port", str(free_udp_port()), "--tftp-address", "127.0.0.1", "--dhcp-mode", "off")
        server = twistd.makeService(self.options(Options, *words, "--http-listen", ""))
        self.assertIs(reactor.seconds, time.monotonic)
        reactor.stop()
        reactor.stop()
        self.assertEqual(self.stops, 2)
        self.assertEqual(len(self.at_exit), 1)
        self.at_exit[0]()  # nothing failed: the process ends as it would
        await cast("Server", server).stopService()

    def test_descriptors(self) -> None:
        """As many as are allowed and can be used, and never fewer than there were."""
        limits = [(1024, 4096)]
        self.patch(resource, "getrlimit", lambda kind: limits[-1])
        self.patch(resource, "setrlimit", lambda kind, both: limits.append(both))
        for before, after in (
            ((1024, 4096), (4096, 4096)),
            ((1024, 1 << 20), (twistd.MOST_DESCRIPTORS, 1 << 20)),
            ((1024, resource.RLIM_INFINITY), (twistd.MOST_DESCRIPTORS, resource.RLIM_INFINITY)),
            ((1 << 19, 1 << 20), (1 << 19, 1 << 20)),
            ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
        ):
            limits.append(before)
            twistd._take_descriptors()
            self.assertEqual(limits[-1], after)

    def test_refused(self) -> None:
        """One line, which `SystemExit` writes to standard error with status 1."""
        words = ("--dhcp-mode", "off", "--no-tftp-enabled", "--http-listen", "")
        ended = self.assertRaises(SystemExit, twistd.makeService, self.options(Options, *words))
        self.assertEqual(
            ended.code,
            "pixelboot: there is nothing to serve: dhcp is off and http is off and tftp is off "
            "(see dhcp.mode, tftp.enabled and http.listen)",
        )
