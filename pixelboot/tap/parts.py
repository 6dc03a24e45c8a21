"""Every part of a site opened and put together."""

from __future__ import annotations

import errno
import gc
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.python.failure import Failure

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import BootPolicy
from pixelboot.config import ConfigError
from pixelboot.dhcp.proxy.protocol import ProxyProtocol
from pixelboot.dhcp.proxy.service import ProxyService
from pixelboot.dhcp.server.compose import Scope
from pixelboot.dhcp.server.protocol import DhcpProtocol
from pixelboot.dhcp.server.service import DhcpService
from pixelboot.http.channel import BootSite
from pixelboot.http.exchange import Shared
from pixelboot.http.resource import BootRoot
from pixelboot.http.service import HttpService
from pixelboot.http.settings import listening_port
from pixelboot.leases.seam import LeaseStore
from pixelboot.library import trust
from pixelboot.library.library import Library
from pixelboot.library.names.packaged import remedy
from pixelboot.library.tree import Tree
from pixelboot.malformed import Malformed
from pixelboot.report import Report
from pixelboot.site import Site
from pixelboot.state.containers import FILE_NAME, ChoicesFile, SqliteChoices
from pixelboot.state.lock import StateLock
from pixelboot.state.sqlite import SqliteLeases
from pixelboot.tap.examine import endpoint, examine, interface, tftp_root, wanted
from pixelboot.tap.loaders import LoaderCheck
from pixelboot.tap.server import Server
from pixelboot.tftp.service import TftpService
from pixelboot.udp.interfaces import Interface
from pixelboot.udp.port import UdpPort, open_socket
from pixelboot.view import status
from pixelboot.view.api import control_resource
from pixelboot.view.containers import Containers


def build(
    site: Site, parts: frozenset[str], reactor: Any, end: Callable[[], object] | None = None, *, own: bool = False
) -> Server:
    """Open all that the `parts` of this site need and put them together; `end` as `Server` takes it.

    The process may be pixelboot's `own`: then what its start leaves in memory is put aside for good.

    :raises Malformed: for what the operator has to mend; nothing is left open then.
    """
    serving = wanted(site, parts)
    if not serving:
        off = " and ".join(f"{part} is off" for part in sorted(parts))
        raise Malformed(f"there is nothing to serve: {off} (see dhcp.mode, tftp.enabled and http.listen)")
    examine(site, parts, reactor)
    lock = StateLock.take(site.state)
    with ExitStack() as undo:
        undo.callback(lock.release)
        report = Report(reactor, time.time, verbose=site.verbose)
        server = Server(lock, report, reactor, end)
        opened = _Parts(site, server, report, reactor, undo, own=own)
        if "http" in serving:
            opened.add_http()
        if "tftp" in serving:
            opened.add_tftp()
        if "dhcp" in serving:
            opened.add_dhcp()
        opened.add_control()
        undo.pop_all()
    return server


class _Parts:
    """The parts of one server while they are put together."""

    def __init__(self, site: Site, server: Server, report: Report, reactor: Any, undo: ExitStack, *, own: bool) -> None:
        self._site = site
        self._own = own
        self._server = server
        self._report = report
        self._memory = Memory()
        self._reactor = reactor
        self._undo = undo
        self._tree = Tree(tftp_root(site), reactor)
        # Where machines are sent; a process that serves no HTTP or TFTP itself sends them to the one that does.
        self._http_port = listening_port(site.http.listen) or None
        self._http_host: str | None = None
        self._containers: Containers | None = None
        self._described: list[Callable[[], Awaitable[status.Status]]] = []

    def add_dhcp(self) -> None:
        """DHCP on its interface: the address server or the proxy, and port 4011 in any case."""
        site, settings = self._site, self._site.dhcp
        found = interface(site)
        self._reachable_from(found)
        # A proxy's machines have a name server of somebody else's; our own have those that we give them.
        named = settings.mode != "server" or bool(settings.subnet[0].dns)
        policy = BootPolicy(site.boot, self._http_port, site.tftp.enabled, self._tree.holds, remedy, named)
        asked = self._udp(found, "dhcp.port", settings.port)
        boot_server = self._udp(found, "dhcp.proxy_port", settings.proxy_port)
        server = settings.mode == "server"
        servers = frozenset(found.addresses)
        proxy = ProxyProtocol(policy, self._memory, self._report, servers, settings.proxy_port, settings.address)
        ports = [boot_server] if server else [asked, boot_server]
        service = ProxyService(ports, proxy.received, self._report, self._reactor)
        service.setServiceParent(self._server)
        if site.tftp.enabled and site.boot.tftp_server is None:
            LoaderCheck(site.boot.loaders, self._tree.holds, remedy).setServiceParent(self._server)
        self._described.append(lambda: status.describe_proxy(service))
        if server:
            self._add_address_server(asked, policy, servers)

    def _add_address_server(self, port: UdpPort, policy: BootPolicy, servers: frozenset[IPv4Address]) -> None:
        site, settings = self._site, self._site.dhcp
        subnet = settings.subnet[0]
        scope = Scope(subnet, subnet.addresses(servers), servers, settings.address)

        async def open_leases() -> SqliteLeases:
            leases = await SqliteLeases.open(self._reactor, f"{site.state}/leases.sqlite", self._report)
            self._settle_memory()
            return leases

        def protocol(leases: LeaseStore) -> DhcpProtocol:
            return DhcpProtocol(
                scope, policy, leases, self._memory, self._report, settings.offer_time, settings.decline_time
            )

        service = DhcpService(port, open_leases, protocol, self._server.give_up, self._report, self._reactor, time.time)
        service.setServiceParent(self._server)
        self._described.append(lambda: status.describe_dhcp(service, scope))

    def add_tftp(self) -> None:
        """TFTP over the tree of loaders."""
        settings = self._site.tftp
        service = TftpService(self._reactor, settings, self._tree.open, self._report, self._memory.holder, time.time)
        try:
            service.listen()
        except OSError as problem:
            where = f"cannot be bound at {settings.address}: {_why(problem)}"
            raise ConfigError("tftp.port", settings.port, where) from None
        self._undo.callback(service.stopService)
        service.setServiceParent(self._server)
        self._described.append(lambda: status.describe_tftp(service, tftp_root(self._site)))

    def add_http(self) -> None:
        """The library and the tree, and HTTP over both."""
        site = self._site
        if not site.http.root:
            _make_folder(site.roots[0])
        store = SqliteChoices(ChoicesFile.open(f"{site.state}/{FILE_NAME}"), self._reactor, self._report)
        library = Library(
            site.roots,
            f"{site.state}/cache",
            self._reactor,
            self._report,
            settings=site.containers,
            trusted=trust.load(site.containers.trusted_keys),
            described=self._settle_memory,
        )
        shared = Shared(self._reactor, time.time, self._report, self._memory.holder, site.http.ranges)
        root = BootRoot(shared, library, self._tree, site.boot.default, site.boot.timeout, store.choices)
        service = HttpService(endpoint(site, self._reactor), BootSite(root, self._report, self._reactor))
        self._listen(service, "http.listen", site.http.listen)
        self._http_port, self._http_host = service.port, service.host
        store.setServiceParent(self._server)
        library.setServiceParent(self._server)
        service.setServiceParent(self._server)
        self._containers = Containers(library, store, root.shown, self._report)
        self._described.append(lambda: status.describe_http(service, library, site, store))

    def add_control(self) -> None:
        """The control channel.  A socket that is there was left by a process that ended without cleaning up."""
        path = self._site.control
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as problem:
            raise ConfigError("state", self._site.state, f"holds {path} already: {problem.strerror}") from None

        async def described() -> status.Status:
            whole = status.describe_process(self._site.state, self._server.uptime, self._report.counts)
            for describe in self._described:
                for key, rows in (await describe()).items():
                    whole[key] += rows
            return whole

        resource = control_resource(described, self._server.end, self._containers)
        at = UNIXServerEndpoint(self._reactor, path, mode=0o600, wantPID=False)
        service = HttpService(at, BootSite(resource, self._report, self._reactor))
        service.name = "control"
        self._listen(service, "state", self._site.state)
        service.setServiceParent(self._server)

    def _settle_memory(self) -> None:
        """What was read at the start lives long: the garbage collector need not look at it again and again."""
        if self._own:
            gc.freeze()

    def _udp(self, found: Interface, key: str, number: int) -> UdpPort:
        """A UDP port on the interface."""
        try:
            opened = open_socket(found, number)
        except OSError as problem:
            raise ConfigError(key, number, f"cannot be bound on {found.name}: {_why(problem)}") from None
        port = UdpPort(self._reactor, opened, found, time.time)
        self._undo.callback(port.stop)
        return port

    def _reachable_from(self, found: Interface) -> None:
        """Machines on the interface are sent to HTTP and TFTP at one address: these must not listen elsewhere alone."""
        told = self._site.dhcp.address
        dhcp = self._site.dhcp
        networks = [subnet.network for subnet in dhcp.subnet] if dhcp.mode == "server" else []
        near = [each for each in found.addresses if not networks or any(each in network for network in networks)]
        own = {str(told)} if told is not None else set(map(str, near))
        hint = "the machines there are sent to it"
        if told is None and len(near) > 1:
            # Which of them a machine is told depends on which it reached.
            own, hint = set(), "there are several, so dhcp.address has to name it"
        reach = f"must be at every address, or at the one of {found.name} that machines are told; {hint}"
        if self._http_host is not None and self._http_host not in {"0.0.0.0", "::", *own}:
            raise ConfigError("http.listen", self._site.http.listen, reach)
        tftp = self._site.tftp
        if tftp.enabled and self._site.boot.tftp_server is None and str(tftp.address) not in {"0.0.0.0", *own}:
            raise ConfigError("tftp.address", str(tftp.address), reach)

    def _listen(self, service: HttpService, key: str, value: str) -> None:
        """Take the service's endpoint now; nobody is answered before the service starts."""
        outcome: list[Failure | None] = []
        Deferred.fromCoroutine(service.listen()).addBoth(outcome.append)
        self._undo.callback(service.abandon)
        failure = outcome[0] if outcome else Failure(TimeoutError("the endpoint takes its time"))
        if failure is not None:
            why = failure.getErrorMessage()
            raise ConfigError(key, value, f"cannot be listened on: {why}")


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as problem:
        raise Malformed(f"the folder {path} cannot be made: {problem.strerror}") from None


def _why(problem: OSError) -> str:
    """The system's words, and what they mean of a port."""
    hints = {
        errno.EACCES: " (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
        errno.EADDRINUSE: " (another server runs on this machine)",
    }
    return (problem.strerror or str(problem)) + hints.get(problem.errno or 0, "")
