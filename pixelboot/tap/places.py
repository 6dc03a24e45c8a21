"""The endpoints of ``http.listen``: looked at before anything is bound, and made."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.threads import deferToThreadPool

from pixelboot.config import ConfigError
from pixelboot.http.endpoint import pair
from pixelboot.http.endpoint.certificate import SOON, Certificate
from pixelboot.http.endpoint.make import NotHandedOver, files, make
from pixelboot.http.endpoint.pair import Files
from pixelboot.http.endpoint.said import Endpoint
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome


class Certificates(MultiService):
    """The certificates of all endpoints; those of the same files have one."""

    def __init__(self, report: Callable[[Outcome], None], reactor: Any) -> None:
        super().__init__()
        self._report = report
        self._reactor = reactor
        self._known: dict[Files, Certificate] = {}

    def __call__(self, of: Files) -> Certificate:
        """That of these files, read now; raises `Malformed`."""
        if of not in self._known:
            certificate = self._known[of] = Certificate(of, self._report, self._reactor, self._thread)
            certificate.setServiceParent(self)
        return self._known[of]

    def _thread(self, work: Callable[[], Any]) -> Any:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def examine(listen: Sequence[Endpoint], reactor: Any, *, is_served: bool) -> None:
    """Look whether the endpoints can be made; raises `ConfigError`.

    Keys and certificates are read where HTTP `is_served` by this process; else they are another's.
    """
    certificates = Certificates(lambda _: None, reactor)
    for each in listen:
        try:
            if each.is_secure and not is_served:
                files(each)
            else:
                make(each, listen, reactor, certificates)
        except NotHandedOver:
            pass  # It is there at the start alone, and only if systemd makes that.
        except Malformed as problem:
            raise _refused(each, problem) from None


def endpoints(
    listen: Sequence[Endpoint], reactor: Any, certificates: Callable[[Files], Certificate]
) -> list[IStreamServerEndpoint]:
    """What listens at each; raises `ConfigError`."""
    made = []
    for each in listen:
        try:
            made.append(make(each, listen, reactor, certificates))
        except Malformed as problem:
            raise _refused(each, problem) from None
    return made


def doubts(listen: Sequence[Endpoint]) -> list[str]:
    """What is no mistake, but may be one, about endpoints that can be made: a line each."""
    lines = []
    for found in dict.fromkeys(files(each) for each in listen if each.is_secure):
        if stat.S_IMODE(os.stat(found.key).st_mode) & stat.S_IROTH:
            lines.append(f"http.listen: everybody can read the private key {found.key}: chmod o= {found.key}")
        now, certificate = time.time(), pair.fit(found, found.read())
        if wrong := certificate.wrong_at(now):
            lines.append(f"http.listen: machines refuse the certificate {found.certificate}: {wrong}")
        elif certificate.ends_at - now < SOON:
            lines.append(f"http.listen: the certificate {found.certificate} expires on {certificate.until}")
    inherited = [each.text for each in listen if each.kind == "systemd"]
    return lines + [f"http.listen: {each} is there only when systemd starts the server" for each in inherited]


def summary(listen: Sequence[Endpoint]) -> list[str]:
    """A line for each endpoint that can be made: where it is, and with which certificate."""
    return [f"HTTP is served at {each}{_with(files(each)) if each.is_secure else ''}" for each in listen]


def _with(found: Files) -> str:
    certificate = pair.fit(found, found.read())
    names = f" for {', '.join(certificate.names)}" if certificate.names else ""
    return f" with the certificate {found.certificate}{names}, until {certificate.until}"


def _refused(endpoint: Endpoint, problem: Malformed) -> ConfigError:
    return ConfigError("http.listen", endpoint.text, str(problem))
