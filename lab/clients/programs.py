"""udhcpc, dhclient and dhcpcd: the clients that people run, each in a namespace of its own.

What happens is told by one script for all, with dhclient's words for it (dhclient-script(8)); dhcpcd has the same, and
udhcpc's and dhclient's RENEW stands for REBIND as well: they do not say which.
"""

from __future__ import annotations

import re
import signal
from abc import ABC, abstractmethod
from pathlib import Path

from lab.needs import program
from lab.network.namespace import Namespace
from lab.process import LabError, Process

_TELL = 'echo "EVENT $what address=$ip router=$router lease=$lease"\n'

_UDHCPC_SCRIPT = f"""\
case $1 in
bound) what=BOUND ;;
renew) what=RENEW ;;
deconfig) what=EXPIRE ;;
*) what=$1 ;;
esac
case $what in
EXPIRE) ip -4 address flush dev eth0 ;;
BOUND | RENEW) ip address replace "$ip/$mask" dev eth0; test -z "$router" || ip route replace default via "$router" ;;
esac
{_TELL}"""

_COMMON_SCRIPT = """\
what=$reason ip=$new_ip_address router=$new_routers lease=$new_dhcp_lease_time
"""

_DHCLIENT_SCRIPT = f"""\
{_COMMON_SCRIPT}case $what in
BOUND | REBOOT)
    # As Debian's own hook may: who finds somebody at the address has dhclient decline it.
    if ! busybox arping -q -D -c 2 -w 2 -I eth0 "$ip"; then echo "EVENT CONFLICT address=$ip"; exit 1; fi ;;
esac
case $what in
PREINIT | EXPIRE | RELEASE | FAIL) ip -4 address flush dev eth0 ;;
BOUND | RENEW | REBIND | REBOOT)
    ip address replace "$ip/$new_subnet_mask" dev eth0
    test -z "$router" || ip route replace default via "$router" ;;
esac
{_TELL}"""

_DHCLIENT_KEEPS = ("BOUND", "RENEW", "REBIND", "REBOOT")
"""The events after which dhclient writes a lease down, and then says so."""

_EVENT = re.compile(r"^EVENT (?P<what>\w+) address=(?P<address>\S*) router=(?P<router>\S*) lease=(?P<lease>\d*)$")


class Client(ABC):
    """A DHCP client on ``eth0`` of a namespace; what it remembers is kept from one start to the next."""

    name: str
    """The program's."""

    renews_when_told = True
    """Whether it renews when it is told to; else at T1 of its lease, and only then."""

    remembers = True
    """Whether it asks for the address of last time when it is started again (INIT-REBOOT, RFC 2131 §4.3.2)."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        """Set it up; what it keeps goes to a new folder in `folder`."""
        self.namespace = namespace
        self.folder = folder / f"{self.name}-{namespace.name.rpartition('-')[2]}"
        self.folder.mkdir()
        self._seen = 0
        self.process: Process | None = None
        """Where it runs; None before it was started."""

    @abstractmethod
    def argv(self) -> list[str]:
        """The command line that runs it in the foreground, in its namespace."""

    @abstractmethod
    def renew(self) -> None:
        """Tell it to renew its lease now."""

    @abstractmethod
    def release(self) -> None:
        """Tell it to give its lease back."""

    def start(self) -> Process:
        """Start it."""
        self._seen = 0
        self.process = self.namespace.start(self.name, *self.argv())
        return self.process

    def wait(self, what: str, timeout: float) -> re.Match[str]:
        """The next event of this kind (a regular expression), of those that no earlier call has passed.

        Its groups are ``what``, ``address``, ``router`` and ``lease``.

        :raises lab.process.LabError: if it does not come within `timeout` seconds.
        """
        assert self.process is not None
        self.process.wait_for(rf"^EVENT ({what}) ", timeout, self._seen)
        for at, line in enumerate(self.process.lines[self._seen :], self._seen):
            match = _EVENT.match(line.text)
            if match and re.fullmatch(what, match["what"]):
                self._seen = at + 1
                return match
        raise LabError(f"{self.name} told of {what} in a way that is not known:\n{self.process.tail()}")

    def pass_over(self) -> None:
        """What it has told so far does not count any more."""
        assert self.process is not None
        self._seen = len(self.process.lines)

    def script(self, text: str) -> str:
        """The path of the script that tells."""
        path = self.folder / "script"
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
        return str(path)

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


class Udhcpc(Client):
    """busybox's."""

    name = "udhcpc"
    remembers = False

    def argv(self) -> list[str]:
        """It asks every second, and looks for others at an address that it was given (``-a``)."""
        words = ("-f", "-i", "eth0", "-t", "10", "-T", "1", "-A", "1", "-a500", "-O", "lease")
        return [program("udhcpc"), *words, "-s", self.script(_UDHCPC_SCRIPT)]

    def renew(self) -> None:
        """SIGUSR1; three times by unicast, a second apart, and then it rebinds."""
        self._signal(signal.SIGUSR1)

    def release(self) -> None:
        """SIGUSR2."""
        self._signal(signal.SIGUSR2)


class Dhclient(Client):
    """ISC's."""

    name = "dhclient"
    renews_when_told = False

    def argv(self) -> list[str]:
        """With a lease file of its own."""
        return [*self._words(), "-d", "eth0"]

    @property
    def leases(self) -> Path:
        """What it remembers."""
        return self.folder / "leases"

    def _words(self) -> list[str]:
        settings = self.folder / "conf"
        settings.write_text(
            "request subnet-mask, routers, dhcp-renewal-time, dhcp-rebinding-time;\n"
            "timeout 20; retry 2; reboot 3; initial-interval 1; backoff-cutoff 2;\n"
        )
        return [
            *(program("dhclient"), "-4", "-v", "-cf", str(settings), "-lf", str(self.leases)),
            *("-pf", str(self.folder / "pid"), "-sf", self.script(_DHCLIENT_SCRIPT)),
        ]

    def wait(self, what: str, timeout: float) -> re.Match[str]:
        """Its script tells of a lease before the lease is in its file, where a second dhclient looks for it."""
        event = super().wait(what, timeout)
        if event["what"] in _DHCLIENT_KEEPS:
            assert self.process is not None
            self.process.wait_for(f"^bound to {re.escape(event['address'])} ", timeout, self._seen - 1)
        return event

    def renew(self) -> None:
        """It does so at T1 alone."""

    def release(self) -> None:
        """A second dhclient ends the first and releases."""
        self.namespace.run(*self._words(), "-r", "eth0")


class Dhcpcd(Client):
    """Roy Marples's, the client of Raspberry Pi OS and others; it has its folders, which are its own here."""

    name = "dhcpcd"
    _FOLDERS = ("/var/lib/dhcpcd", "/run/dhcpcd")

    def argv(self) -> list[str]:
        """It looks for others at an address before it takes it, as always."""
        settings = self.folder / "conf"
        settings.write_text("duid\noption interface_mtu\nrequire dhcp_server_identifier\nipv4only\n")
        script = self.script(f"{_COMMON_SCRIPT}{_TELL}")
        return self._inside("-f", str(settings), "-B", "-d", "-c", script, "-t", "20", "eth0")

    def _inside(self, *words: str) -> list[str]:
        """Run dhcpcd on folders of its own: `ip netns exec` has given it mounts of its own."""
        mounts = ""
        for number, folder in enumerate(self._FOLDERS):
            own = self.folder / str(number)
            own.mkdir(exist_ok=True)
            own.chmod(0o755)
            mounts += f"mkdir -p {folder} && mount --bind {own} {folder} && "
        return ["sh", "-c", f'{mounts}exec "$@"', "sh", program("dhcpcd"), *words]

    def renew(self) -> None:
        """``dhcpcd -N``."""
        self.namespace.run(*self._inside("-N", "eth0"))

    def release(self) -> None:
        """``dhcpcd -k``."""
        self.namespace.run(*self._inside("-k", "eth0"))


PROGRAMS: tuple[type[Client], ...] = (Udhcpc, Dhclient, Dhcpcd)
"""All of them."""

NEEDS = (*(each.name for each in PROGRAMS), "busybox")
"""The programs that they are, and that their scripts run."""
