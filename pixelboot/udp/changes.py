"""Tells when interfaces or their addresses may have changed.

The kernel says so (rtnetlink(7)); but where it may not be asked, or so much happens that it says only that, a look
every few seconds has to do.  So what it says is taken as a reason to look at once, and no more.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from pixelboot.udp.descriptor import Descriptor

POLL = 5.0
"""Seconds between two looks when nothing is said."""
MOST_LOOKS = 8
"""Looks that are taken at once in a `PAUSE`; further ones are left to its end, however much happens."""
PAUSE = 0.25
"""Seconds in which no more than `MOST_LOOKS` are taken."""

_MOST_IN_A_TURN = 64
_RTMGRP_LINK = 1
_RTMGRP_IPV4_IFADDR = 0x10

_log = Logger(namespace="pixelboot.udp")


def open_netlink() -> socket.socket:
    """A socket on which the kernel tells of links and IPv4 addresses that change.

    :raises OSError: if it may not be asked.
    """
    opened = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        opened.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR))
    except OSError:
        opened.close()
        raise
    return opened


class _Netlink(Descriptor):
    """Knows that the kernel said something, not what."""

    def __init__(self, reactor: Any, said: Callable[[], None]) -> None:
        super().__init__(reactor, open_netlink())
        self._said = said
        self._read_on()

    def __str__(self) -> str:
        return "changes of interfaces"

    def doRead(self) -> None:
        """Forget what is said; it is looked at afterwards."""
        for _ in range(_MOST_IN_A_TURN):
            try:
                self._socket.recv(1)  # The kernel throws the rest of the message away.
            except BlockingIOError:
                break
            except OSError:
                continue  # ENOBUFS: more was said than there was room for.
        self._said()


class Changes:
    """Calls a function at the start, every few seconds, and at once when interfaces or addresses may have changed."""

    def __init__(self, reactor: Any, look: Callable[[], None]) -> None:
        """`reactor` watches descriptors and gives the time; `look` sees what has changed, if anything has."""
        self._reactor = reactor
        self._look = look
        self._netlink: _Netlink | None = None
        self._timer: IDelayedCall | None = None
        self._looks = 0
        self._is_asked = False

    def start(self) -> None:
        """Watch, and look for the first time."""
        try:
            self._netlink = _Netlink(self._reactor, self.look)
        except OSError as problem:
            _log.info(
                "interfaces are looked at every {poll:.0f} s, for the system does not tell of changes: {problem}",
                poll=POLL,
                problem=problem,
            )
        self.look()

    def stop(self) -> None:
        """Look no more.  May be called more than once."""
        netlink, self._netlink = self._netlink, None
        if netlink is not None:
            netlink.stop()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._looks = 0
        self._is_asked = False

    def look(self) -> None:
        """Look now; if that was done too often a moment ago, when the `PAUSE` is over."""
        if self._looks >= MOST_LOOKS:
            self._is_asked = True
            return
        if not self._looks:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._reactor.callLater(PAUSE, self._rested)
        self._looks += 1
        self._look()

    def _rested(self) -> None:
        self._timer = None
        self._looks = 0
        if self._is_asked:
            self._is_asked = False
            self.look()
        else:
            self._timer = self._reactor.callLater(POLL - PAUSE, self._expired)

    def _expired(self) -> None:
        self._timer = None
        self.look()
