"""Where the parts meet: from the settings of a site to the service that ``twistd`` runs.

``makeService`` opens everything before it returns: the state folder is locked and every port is bound, or the
process ends with status 1 and one line that says what is wrong.  Nothing is answered before the reactor runs.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Any, ClassVar, NoReturn

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import UNIXServerEndpoint, serverFromString
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import ScriptPolicy
from pixelboot.config import ConfigError, Declared, declared, dump
from pixelboot.dhcp.compose import Scope
from pixelboot.dhcp.protocol import DhcpProtocol
from pixelboot.dhcp.service import DhcpService
from pixelboot.http.channel import BootSite
from pixelboot.http.resource import BootRoot, Shared
from pixelboot.http.service import HttpService
from pixelboot.http.settings import listening_port
from pixelboot.leases.seam import LeaseStore
from pixelboot.library.library import Library
from pixelboot.malformed import Malformed
from pixelboot.report import Report
from pixelboot.site import Site, load
from pixelboot.state.lock import StateLock
from pixelboot.state.sqlite import SqliteLeases
from pixelboot.udp.interfaces import Interface, interfaces
from pixelboot.udp.port import UdpPort, open_socket
from pixelboot.view import status
from pixelboot.view.api import control_resource

EVERYTHING = frozenset({"dhcp", "http"})
"""The parts that ``twistd pixelboot`` is made of."""

LONGEST_SOCKET_PATH = 107
"""Octets in the path of a Unix socket (unix(7))."""

_log = Logger(namespace="pixelboot")


def _option(setting: Declared, part: str) -> str:
    """The name of a setting's option: in the plugin of one part, that part's settings need not name it."""
    return setting.option.removeprefix(f"{part}-") if setting.path[0] == part else setting.option


def _parameters(part: str) -> list[list[Any]]:
    """The settings as usage.Options wants them: long name, short name, default, help."""
    rows: list[list[Any]] = [["config", "c", None, "The settings file, TOML. Options win over what it says."]]
    for setting in declared(Site):
        told = f"{setting.help} ({setting.kind.allowed}; default {setting.default!r})"
        rows.append([_option(setting, part), None, None, told])
    return rows


class Options(usage.Options):
    """The command line of ``twistd pixelboot``; after parsing, `site` holds the settings."""

    part: ClassVar[str] = ""
    optFlags: ClassVar[list[list[Any]]] = [["check", None, "Print the resulting settings and exit; bind nothing."]]
    optParameters: ClassVar[list[list[Any]]] = _parameters("")

    site: Site

    def postOptions(self) -> None:
        """Read the settings; wrong ones end the process with status 1, ``--check`` ends it with the settings."""
        given = {setting.path: self[_option(setting, self.part)] for setting in declared(Site)}
        try:
            self.site = load(
                self["config"], {path: text for path, text in given.items() if text is not None}, os.environ
            )
            if self["check"]:
                examine(self.site)
        except Malformed as problem:
            _refuse(problem)
        if self["check"]:
            sys.stdout.write(dump(self.site))
            raise SystemExit(0)


class DhcpOptions(Options):
    """The command line of ``twistd pixelboot-dhcp``."""

    part = "dhcp"
    optParameters: ClassVar[list[list[Any]]] = _parameters("dhcp")


class HttpOptions(Options):
    """The command line of ``twistd pixelboot-http``."""

    part = "http"
    optParameters: ClassVar[list[list[Any]]] = _parameters("http")


def makeService(options: Options) -> IService:
    """The whole of pixelboot, for ``twistd pixelboot``."""
    return _for_twistd(options.site, EVERYTHING)


def makeDhcpService(options: Options) -> IService:
    """DHCP alone, for ``twistd pixelboot-dhcp``."""
    return _for_twistd(options.site, frozenset({"dhcp"}))


def makeHttpService(options: Options) -> IService:
    """HTTP alone, for ``twistd pixelboot-http``."""
    return _for_twistd(options.site, frozenset({"http"}))


def _for_twistd(site: Site, parts: frozenset[str]) -> IService:
    from twisted.internet import reactor

    # The reactor's own clock is the wall clock, and a step of that backwards would freeze every timer.
    setattr(reactor, "seconds", time.monotonic)  # noqa: B010 - mypy knows it as a method
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # and is not ignored, as under nohup
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reactor.stop))  # type: ignore[attr-defined]
    # A second signal while the first is obeyed is no error.
    setattr(reactor, "stop", _once(reactor.stop))  # noqa: B010
    try:
        server = build(site, parts, reactor)
    except Malformed as problem:
        _refuse(problem)

    def fail() -> None:
        if server.failed:
            os._exit(1)

    # twistd has no way to tell a failure after the reactor began.  At exit its log is written and its pid file gone.
    atexit.register(fail)
    return server


def _once(stop: Callable[[], None]) -> Callable[[], None]:
    """The same as `stop`, but that it does nothing when there is nothing to stop any more."""

    def stop_once() -> None:
        with suppress(ReactorNotRunning):
            stop()

    return stop_once


def _refuse(problem: Malformed) -> NoReturn:
    """End before anything runs: one line on standard error, status 1."""
    raise SystemExit(f"pixelboot: {problem}")


class Server(MultiService):
    """All parts of one process.  They are added with `setServiceParent`, each with its port bound already."""

    name = "pixelboot"

    def __init__(self, lock: StateLock, report: Report, reactor: Any) -> None:
        """Take over the `lock` on the state folder; `reactor` is what `end` stops."""
        super().__init__()
        self.failed = False
        """Whether a part could not start."""
        self._started_at: float = reactor.seconds()
        self._lock = lock
        self._report = report
        self._reactor = reactor

    @property
    def uptime(self) -> float:
        """Seconds since the parts were started."""
        uptime: float = self._reactor.seconds() - self._started_at
        return uptime

    def startService(self) -> None:
        """Start every part."""
        self._lock.write_pid()  # twistd may have forked since the lock was taken
        self._started_at = self._reactor.seconds()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Stop every part, then write what is left for the log and let go of the state folder."""

        def stopped(result: object) -> None:
            if isinstance(result, Failure):
                _log.failure("a part did not stop as it should", result)
            self._report.flush()
            self._lock.release()

        return maybeDeferred(super().stopService).addBoth(stopped)

    def end(self) -> None:
        """Begin the end of the process; it may have begun already."""
        self._reactor.callLater(0, _once(self._reactor.stop))

    def give_up(self, failure: Failure) -> None:
        """A part cannot start: say why, and end the process."""
        self.failed = True
        _log.critical("pixelboot cannot start: {reason}", reason=failure.getErrorMessage())
        self.end()


def examine(site: Site) -> None:
    """Whether this machine can serve the settings: folder, endpoint and interface exist.  Raises `Malformed`."""
    if len(os.fsencode(site.control)) > LONGEST_SOCKET_PATH:
        raise ConfigError("state", site.state, f"is too long for the socket in it ({LONGEST_SOCKET_PATH} octets)")
    if site.http.root and not os.path.isdir(site.http.root):
        raise ConfigError("http.root", site.http.root, "must be a folder that exists")
    if site.http.listen:
        from twisted.internet import reactor

        _endpoint(site, reactor)
    if site.dhcp.mode == "server":
        _interface(site)


def build(site: Site, parts: frozenset[str], reactor: Any) -> Server:
    """Open all that the `parts` of this site need and put them together.

    Raises `Malformed` for what the operator has to mend, and then leaves nothing open.
    """
    dhcp = "dhcp" in parts and site.dhcp.mode == "server"
    http = "http" in parts and bool(site.http.listen)
    if not dhcp and not http:
        off = " and ".join(f"{part} is off" for part in sorted(parts))
        raise Malformed(f"there is nothing to serve: {off} (see dhcp.mode and http.listen)")
    examine(site)
    lock = StateLock.take(site.state)
    with ExitStack() as undo:
        undo.callback(lock.release)
        report = Report(reactor, time.time)
        server = Server(lock, report, reactor)
        parts_open = _Parts(site, server, report, Memory(), reactor, undo)
        if http:
            parts_open.add_http()
        if dhcp:
            parts_open.add_dhcp()
        parts_open.add_control()
        undo.pop_all()
    return server


class _Parts:
    """The parts of one server while they are put together."""

    def __init__(
        self, site: Site, server: Server, report: Report, memory: Memory, reactor: Any, undo: ExitStack
    ) -> None:
        self._site = site
        self._server = server
        self._report = report
        self._memory = memory
        self._reactor = reactor
        self._undo = undo
        # Where machines are sent; a process that serves no HTTP itself sends them to the one that does.
        self._http_port = listening_port(site.http.listen) or None
        self._http_host: str | None = None
        self._described: list[Callable[[], Awaitable[status.Status]]] = []

    def add_dhcp(self) -> None:
        """The address server of the one subnet."""
        site, settings = self._site, self._site.dhcp
        interface, subnet = _interface(site), settings.subnet[0]
        servers = frozenset(interface.addresses)
        scope = Scope(subnet, subnet.addresses(servers), servers)
        if self._http_host is not None and self._http_host not in {"0.0.0.0", "::", *map(str, servers)}:
            reach = f"must be at every address or one of {interface.name}: the machines there are sent to it"
            raise ConfigError("http.listen", site.http.listen, reach)
        policy = ScriptPolicy(self._http_port)
        try:
            opened = open_socket(interface, settings.port)
        except OSError as problem:
            raise ConfigError(
                "dhcp.port", settings.port, f"cannot be bound on {interface.name}: {_why(problem)}"
            ) from None
        port = UdpPort(self._reactor, opened, interface, time.time)
        self._undo.callback(port.stop)

        async def open_leases() -> SqliteLeases:
            leases = await SqliteLeases.open(self._reactor, f"{site.state}/leases.sqlite", self._report)
            # Leases live long: the garbage collector need not look at those of the start again and again.
            gc.freeze()
            return leases

        def protocol(leases: LeaseStore) -> DhcpProtocol:
            return DhcpProtocol(
                scope, policy, leases, self._memory, self._report, settings.offer_time, settings.decline_time
            )

        service = DhcpService(port, open_leases, protocol, self._server.give_up, self._report, self._reactor, time.time)
        service.setServiceParent(self._server)
        self._described.append(lambda: status.describe_dhcp(service, scope))

    def add_http(self) -> None:
        """The library, and HTTP over it."""
        site = self._site
        if not site.http.root:
            _make_folder(site.root)
        library = Library(site.root, f"{site.state}/cache", self._reactor, self._report)
        shared = Shared(self._reactor, time.time, self._report, self._memory.holder)
        root = BootRoot(shared, library, site.boot.default, site.boot.timeout)
        service = HttpService(_endpoint(site, self._reactor), BootSite(root, self._report, self._reactor))
        self._listen(service, "http.listen", site.http.listen)
        self._http_port, self._http_host = service.port, service.host
        library.setServiceParent(self._server)
        service.setServiceParent(self._server)
        self._described.append(lambda: status.describe_http(service, library, site))

    def add_control(self) -> None:
        """The control channel.  A socket that is there was left by a process that ended without cleaning up."""
        path = self._site.control
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as problem:
            raise ConfigError("state", self._site.state, f"holds {path} already: {_why(problem)}") from None

        async def described() -> status.Status:
            whole = status.describe_process(self._site.state, self._server.uptime, self._report.counts)
            for describe in self._described:
                for key, rows in (await describe()).items():
                    whole[key] += rows
            return whole

        resource = control_resource(described, self._server.end)
        endpoint = UNIXServerEndpoint(self._reactor, path, mode=0o600, wantPID=False)
        service = HttpService(endpoint, BootSite(resource, self._report, self._reactor))
        service.name = "control"
        self._listen(service, "state", self._site.state)
        service.setServiceParent(self._server)

    def _listen(self, service: HttpService, key: str, value: str) -> None:
        """Take the service's endpoint now; nobody is answered before the service starts."""
        outcome: list[Failure | None] = []
        Deferred.fromCoroutine(service.listen()).addBoth(outcome.append)
        self._undo.callback(service.stopService)
        failure = outcome[0] if outcome else Failure(TimeoutError("the endpoint takes its time"))
        if failure is not None:
            why = failure.getErrorMessage()
            raise ConfigError(key, value, f"cannot be listened on: {why}")


def _interface(site: Site) -> Interface:
    """The interface that the address server serves: the one that is named, else the one that is in the subnet."""
    known = interfaces()
    network, name = site.dhcp.subnet[0].network, site.dhcp.interface
    serving = [each for each in known.values() if any(address in network for address in each.addresses)]
    if name and name not in known:
        raise ConfigError("dhcp.interface", name, "must be one of " + ", ".join(sorted(known)))
    if name and known[name] not in serving:
        raise ConfigError("dhcp.interface", name, f"must have an address in the subnet {network}")
    if name:
        return known[name]
    if len(serving) != 1:
        found = " and ".join(each.name for each in serving) or "no interface"
        raise ConfigError("dhcp.interface", name, f"must be named: {found} has an address in the subnet {network}")
    return serving[0]


def _endpoint(site: Site, reactor: Any) -> IStreamServerEndpoint:
    """The endpoint of ``http.listen``."""
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, site.http.listen)
    except Exception as problem:  # noqa: BLE001 - endpoints are read by plugins, and each raises what it likes
        raise ConfigError("http.listen", site.http.listen, f"must be a Twisted endpoint: {problem}") from None
    return endpoint


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as problem:
        raise Malformed(f"the folder {path} cannot be made: {_why(problem)}") from None


def _why(problem: OSError) -> str:
    return problem.strerror or str(problem)
