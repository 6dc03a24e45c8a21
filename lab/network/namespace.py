"""Network namespaces with a bridge: a server's end, taps for machines, further namespaces for clients.

One segment is what most need; more of them hang on the server too, or behind a router (`lab.network.router`).

    +-- namespace TOKEN-server ----------------+      +-- namespace TOKEN-client1 --+
    |  br0 10.77.0.1/24 ---- tap0 (QEMU)       |      |                             |
    |                   `--- client1 ==========|======|=== eth0 (no address)        |
    +------------------------------------------+      +-----------------------------+

Everything is named by a token that says which process made it: its id and the moment it was started, so that a process
id used again does not protect what a dead process left.  Three nets catch what is left over:

1. the end of the ``with`` block;
2. the keeper, a small process that waits for the lab's end, however it comes, kill -9 included (`lab.network.keeper`);
3. the next start, which removes what belongs to processes that are gone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from ipaddress import IPv4Interface
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import CHECKOUT
from lab.needs import program
from lab.process import LabError, Process, Sink, run

SERVER_ADDRESS = "10.77.0.1"
"""The server's address on the bridge."""

NEIGHBOUR_ADDRESS = "10.77.0.2"
"""Of the network's router and own DHCP server, where there is one (`lab.servers.neighbour`): the default route's."""

NETWORK = "10.77.0.0/24"
"""The network of the bridge."""

BRIDGE = "br0"
"""The bridge's name in the server's namespace."""

PREFIX = "pixelboot-lab-"
"""How every namespace and every temporary folder of the lab begins."""

_TOKEN = re.compile(re.escape(PREFIX) + r"(\d+)-(\d+)-\d+")
_NAMESPACES = Path("/run/netns")
_NUMBERS = count(1)


class Namespace:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        """Describe the namespace called `name`; it is made by `Network`."""
        self.name = name

    def argv(self, *command: str) -> list[str]:
        """The command line that runs `command` in the namespace, under the process id of what is started."""
        return [program("ip"), "netns", "exec", self.name, *command]

    def ip(self, *words: str) -> str:
        """Run ``ip`` on the namespace's links, addresses and routes and return what it printed."""
        return run(program("ip"), "-n", self.name, *words)

    def run(self, *command: str, timeout: float = 30.0, env: Mapping[str, str] | None = None) -> str:
        """Run a program in the namespace to its end; see `lab.process.run`."""
        return run(*self.argv(*command), timeout=timeout, env=env)

    def start(
        self, name: str, *command: str, sink: Sink | None = None, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program in the namespace; see `lab.process.Process`."""
        return Process(name, self.argv(*command), sink, env)

    def write_setting(self, path: str, value: str) -> None:
        """Write a kernel setting (``net/ipv6/conf/br0/accept_dad``) of the namespace, where the kernel has it."""
        self.run("sh", "-c", 'test ! -e "$1" || echo "$2" > "$1"', "sh", f"/proc/sys/{path}", value)


class Segment:
    """One link: a bridge in a namespace, into which machines and clients are plugged."""

    def __init__(self, home: Namespace, bridge: str, address: str, network: Network) -> None:
        """Make the bridge with its address (as in ``10.78.0.1/24``) in the namespace `home` of a network.

        :raises LabError: if the kernel or the rights do not allow it.
        """
        self.home = home
        self.bridge = bridge
        self.folder = network.folder
        """Where files may lie as long as the network."""
        self.until_closed = network.until_closed
        """What ends with the network, the last first."""
        self.network = IPv4Interface(address).network
        """Of the machines on it."""
        self._owner = network
        home.ip("link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
        home.ip("link", "set", bridge, "addrgenmode", "none")
        home.ip("address", "add", address, "broadcast", "+", "dev", bridge)
        home.ip("link", "set", bridge, "up")

    def tap(self) -> str:
        """Make a tap on the bridge, for a virtual machine, and return its name."""
        name = f"tap{next(self._owner.numbers)}"
        self.home.ip("tuntap", "add", name, "mode", "tap")
        self.plug(name)
        return name

    def client(self) -> Namespace:
        """Make a namespace whose ``eth0`` is plugged into the bridge and has no address yet."""
        name = f"client{next(self._owner.numbers)}"
        namespace = self._owner.namespace(name)
        self.cable(namespace, name)
        return namespace

    def cable(self, namespace: Namespace, name: str) -> None:
        """Plug a new ``eth0`` of a namespace into the bridge; `name` is that of the bridge's end."""
        join(self.home, name, namespace, "eth0")
        self.plug(name)

    def plug(self, name: str) -> None:
        """Plug an interface of the bridge's namespace into it."""
        self.home.ip("link", "set", name, "master", self.bridge)
        self.home.ip("link", "set", name, "up")


class Network:
    """A server's namespace with a segment, a temporary folder, and as many more of them as are asked for."""

    def __init__(self) -> None:
        """Remove what dead labs left and make the network.

        :raises LabError: if the kernel or the rights do not allow it.
        """
        remove_stale()
        self.token = f"{PREFIX}{os.getpid()}-{_started(os.getpid())}-{next(_NUMBERS)}"
        self.folder = Path(tempfile.gettempdir()) / self.token
        self.numbers = count(1)
        """For names that are given once in the network."""
        self.until_closed = ExitStack()
        """What ends with the network, the last first."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "lab.network.keeper", self.token],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=CHECKOUT,
            start_new_session=True,
        )
        try:
            self.folder.mkdir(mode=0o700)
            self.server = self.namespace("server")
            # The far end of a wire (`lab.network.wire.tap`) has an interface too, which must not answer for the server.
            self.server.write_setting("net/ipv4/conf/all/arp_ignore", "1")
            self.segment = Segment(self.server, BRIDGE, f"{SERVER_ADDRESS}/24", self)
            self.server.ip("route", "add", "default", "via", NEIGHBOUR_ADDRESS)
        except BaseException:
            self.close()
            raise

    def namespace(self, name: str) -> Namespace:
        """Make a namespace with nothing in it but its loopback."""
        namespace = Namespace(f"{self.token}-{name}")
        run(program("ip"), "netns", "add", namespace.name)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    def client(self) -> Namespace:
        """Make a namespace whose ``eth0`` is plugged into the server's segment and has no address yet."""
        return self.segment.client()

    def close(self) -> None:
        """Remove the namespaces, what still runs in them, and the folder.  May be called more than once.

        :raises LabError: if something could not be removed.
        """
        try:
            self.until_closed.close()
        finally:
            if self._keeper.stdin is not None and not self._keeper.stdin.closed:
                self._keeper.stdin.close()
            status = self._keeper.wait(30.0)
        if status != 0:
            raise LabError(f"the lab's network {self.token} could not be removed: see `ip netns list`")

    def __enter__(self) -> Self:
        """The network itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove it."""
        self.close()


def join(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    """Lay a cable between two namespaces; its ends have these names, are up, and have no address."""
    one.ip("link", "add", name, "type", "veth", "peer", "name", other_name, "netns", other.name)
    for namespace, end in ((one, name), (other, other_name)):
        namespace.ip("link", "set", end, "addrgenmode", "none")
        namespace.ip("link", "set", end, "up")


def remove(token: str) -> None:
    """Remove all that was made under `token`: processes in its namespaces are killed, its folder is deleted.

    :raises LabError: if a namespace's processes outlive being killed, or it cannot be deleted.
    """
    for path in sorted(_NAMESPACES.glob(f"{token}-*")):
        try:
            _remove_namespace(path.name)
        except LabError:
            # Another lab that starts now may be removing the same.
            if path.exists():
                raise
    shutil.rmtree(Path(tempfile.gettempdir()) / token, ignore_errors=True)


def _remove_namespace(name: str) -> None:
    deadline = time.monotonic() + 10.0
    while pids := run(program("ip"), "netns", "pids", name).split():
        if time.monotonic() > deadline:
            raise LabError(f"processes {', '.join(pids)} in namespace {name} do not end")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.02)
    run(program("ip"), "netns", "delete", name)


def remove_stale() -> None:
    """Remove what labs left whose process is gone."""
    for token in tokens():
        match = _TOKEN.fullmatch(token)
        if match and _started(int(match[1])) != int(match[2]):
            remove(token)


def tokens() -> set[str]:
    """The tokens of all networks of which something exists on this machine, a namespace or a folder."""
    names = [path.name for folder in (_NAMESPACES, Path(tempfile.gettempdir())) for path in folder.glob(f"{PREFIX}*")]
    return {match[0] for name in names if (match := _TOKEN.match(name))}


def _started(pid: int) -> int:
    """When a process was started, in clock ticks since the machine's start (proc(5)); 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])
