"""Every part of a site opened and put together."""

from __future__ import annotations

import errno
import gc
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from pixelboot.boot.hosts import settled
from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import BootPolicy, nobody
from pixelboot.config import ConfigError
from pixelboot.dhcp.network.network import Network
from pixelboot.http.connection.resources import Resources
from pixelboot.http.connection.site import BootSite
from pixelboot.http.exchange import Shared
from pixelboot.http.routes import BootRoot
from pixelboot.http.service import HttpService, NotListening
from pixelboot.http.settings import listening_port
from pixelboot.library import trust
from pixelboot.library.generated import Generated
from pixelboot.library.library import Library
from pixelboot.library.names.meant import Names
from pixelboot.library.names.packaged import remedy
from pixelboot.library.tree import Tree
from pixelboot.malformed import Malformed
from pixelboot.report import Report
from pixelboot.site import Site
from pixelboot.state.containers import FILE_NAME, ChoicesFile, SqliteChoices
from pixelboot.state.hosts import FILE_NAME as HOSTS_FILE
from pixelboot.state.hosts import HostsFile, SqliteHosts
from pixelboot.state.lock import StateLock
from pixelboot.tap.descriptors import affordable
from pixelboot.tap.dhcp import check_reachable, dhcp_service, name_servers
from pixelboot.tap.examine import examine, tftp_root, wanted, why
from pixelboot.tap.loaders import LoaderCheck
from pixelboot.tap.places import Certificates, endpoints
from pixelboot.tap.server import Server
from pixelboot.tftp.service import NotBound, TftpService
from pixelboot.tftp.settings import TftpSettings
from pixelboot.view import status
from pixelboot.view.adoption import Adoption
from pixelboot.view.api import Subject, control_resource
from pixelboot.view.containers import Containers
from pixelboot.view.hosts import HostsView
from pixelboot.view.leases import LeasesView


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
        undo.callback(report.close)
        server = Server(lock, report, reactor, end)
        opened = _Parts(site, server, report, reactor, undo, own=own)
        if serving & {"dhcp", "http"}:
            opened.add_hosts()
        if "http" in serving:
            opened.add_http()
        if "tftp" in serving:
            opened.add_tftp()
        if "dhcp" in serving:
            opened.add_dhcp()
        opened.add_control()
        undo.pop_all()
    if own:
        reactor.callWhenRunning(opened.settle_memory)
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
        memory = f"{site.state}/cache/digests.json"
        self._tree = Tree(tftp_root(site), reactor, names=_names(site.tftp), memory=memory)
        self._tree.setServiceParent(server)
        # Where machines are sent; a process that serves no HTTP or TFTP itself sends them to the one that does.
        self._http_port = listening_port(site.http.listen) or None
        self._http_host: str | None = None
        self._hosts: SqliteHosts | None = None
        self._subjects: list[Subject] = []
        self._described: list[Callable[[], Awaitable[status.Status]]] = []

    def add_hosts(self) -> None:
        """What single machines boot, as the settings say and as it was chosen."""
        file = HostsFile.open(f"{self._site.state}/{HOSTS_FILE}", settled(self._site.host))
        self._hosts = SqliteHosts(file, self._reactor, self._report)
        self._hosts.setServiceParent(self._server)

    def add_dhcp(self) -> None:
        """DHCP on its interfaces: the address server, the proxy, and port 4011 in any case."""
        site = self._site
        check_reachable(site, self._http_host)
        service = dhcp_service(
            site, self._server.give_up, self._policy, self._memory, self._report, self._reactor, self.settle_memory
        )
        self._undo.callback(service.listening.stop)
        service.setServiceParent(self._server)
        if site.tftp.enabled and site.boot.tftp_server is None:
            LoaderCheck(site.boot.loaders, self._tree.holds, remedy).setServiceParent(self._server)
        self._described.append(lambda: status.describe_dhcp(service, site.dhcp.mode, self._turn))
        if service.gives_addresses:
            adoption = Adoption(service.network, site.host)
            leases = LeasesView(lambda: service.store, adoption, time.time, self._turn, self._report)
            self._subjects.append(leases)

    def _policy(self, network: Network) -> BootPolicy:
        """What machines on these networks boot."""
        site, named = self._site, name_servers(network)
        hosts = nobody if self._hosts is None else self._hosts.hosts
        return BootPolicy(site.boot, self._http_port, site.tftp.enabled, self._tree.holds, remedy, named, hosts)

    def _in_thread(self, work: Callable[[], None]) -> Deferred[None]:
        """Do what may take its time, in one of the reactor's threads."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _turn(self) -> Deferred[None]:
        """Fires when everybody else has had a turn."""
        return deferLater(self._reactor, 0)

    def add_tftp(self) -> None:
        """TFTP over the tree of loaders."""
        settings = self._site.tftp
        root = tftp_root(self._site)
        service = TftpService(self._reactor, settings, self._tree, self._report, self._memory.holder, root)
        try:
            service.listen()
        except NotBound as problem:
            where = f"cannot be bound at {problem.address}: {why(problem)}"
            raise ConfigError(f"tftp.{problem.key}", problem.value, where) from None
        self._undo.callback(service.stopService)
        service.setServiceParent(self._server)
        self._described.append(lambda: status.describe_tftp(service, root))

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
            described=self.settle_memory,
        )
        http = site.http
        shared = Shared(self._reactor, time.time, self._report, self._memory.holder, http.ranges, http.strict_ranges)
        root = BootRoot(shared, library, self._tree, site.boot.default, site.boot.timeout, store.choices, self._hosts)
        certificates = Certificates(self._report, self._reactor)
        made = endpoints(site.http.listen, self._reactor, certificates)
        limits = affordable(http.limits, own=self._own)
        boot = BootSite(root, self._report, self._reactor, limits=limits, in_thread=self._in_thread)
        service = HttpService(made, boot)
        self._listen(service, "http.listen", [each.text for each in site.http.listen])
        self._http_port, self._http_host = service.port, service.host
        if site.tftp.generated and service.port is not None:
            generated = Generated(library, root.scripts, self._url, self._reactor, ignore_case=site.tftp.ignore_case)
            self._tree.serve_also(generated)
        store.setServiceParent(self._server)
        library.setServiceParent(self._server)
        certificates.setServiceParent(self._server)
        service.setServiceParent(self._server)
        self._subjects.append(Containers(library, store, root.shown, self._report))
        if self._hosts is not None:
            self._subjects.append(HostsView(self._hosts, library, store.choices, self._report))
        self._described.append(lambda: status.describe_http(service, library, site, store))

    def _url(self, address: str) -> str:
        """What the URLs of our HTTP begin with for the machine with that address; OSError if there is no way to it."""
        host = self._http_host
        if host is None or ip_address(host).is_unspecified:
            host = facing(address)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._http_port}/"

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

        resource = control_resource(described, self._server.end, *self._subjects)
        at = UNIXServerEndpoint(self._reactor, path, mode=0o600, wantPID=False)
        service = HttpService([at], BootSite(Resources(resource), self._report, self._reactor))
        service.name = "control"
        self._listen(service, "state", [self._site.state])
        service.setServiceParent(self._server)

    def settle_memory(self) -> None:
        """What was read at the start lives long: the garbage collector need not look at it again and again."""
        if self._own:
            gc.freeze()

    def _listen(self, service: HttpService, key: str, values: Sequence[str]) -> None:
        """Take the service's endpoints now; nobody is answered before the service starts.

        The setting `key` has one of the `values` for each.
        """
        outcome: list[Failure | None] = []
        Deferred.fromCoroutine(service.listen()).addBoth(outcome.append)
        self._undo.callback(service.abandon)
        failure = outcome[0] if outcome else Failure(TimeoutError("the endpoint takes its time"))
        if failure is not None:
            number = failure.value.number if isinstance(failure.value, NotListening) else 0
            raise ConfigError(key, values[number], f"cannot be listened on: {failure.getErrorMessage()}")


def _names(settings: TftpSettings) -> Names:
    """What names mean by these settings."""
    aliases = {entry.key: entry.value for entry in settings.aliases}
    return Names(aliases, settings.remap, settings.machine_folders, settings.ignore_case)


def facing(address: str) -> str:
    """Our own address on the way to another, both as text.  Nothing is sent.

    :raises OSError: if there is no way.
    """
    try:
        version = ip_address(address).version
    except ValueError:
        raise OSError(errno.EADDRNOTAVAIL, "the address of the machine that asks is not known") from None
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as way:
        way.connect((address, 9))
        host: str = way.getsockname()[0]
    return host


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as problem:
        raise Malformed(f"the folder {path} cannot be made: {problem.strerror}") from None
