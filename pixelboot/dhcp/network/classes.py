"""Which classes a request belongs to, by the conditions of ``[[dhcp.class]]``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence

from pixelboot.boot.machine import Machine
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.vendor import user_classes
from pixelboot.dhcp.message.wire import Message
from pixelboot.dhcp.settings.client_class import ClassSettings

# As plain numbers, which are found faster than the members of an enumeration.
_VENDOR = int(Option.VENDOR_CLASS)
_USER = int(Option.USER_CLASS)

_REMEMBERED = 1024
"""How many kinds of machines are remembered: a site has a dozen, and who makes up others costs us no more."""
_MEMORABLE = 512
"""Octets of options 60 and 77 together; who says more is judged anew each time."""

_Prefixes = tuple[bytes, ...]
_Candidates = tuple[tuple[str, _Prefixes], ...]


class Classes:
    """All classes of a site.

    What a machine says of its kind is the same for thousands, so the judgement on it is kept; only hardware
    addresses are looked at every time.
    """

    def __init__(self, classes: Sequence[ClassSettings]) -> None:
        self._conditions = [_Condition(each) for each in classes]
        self._known: dict[tuple[bytes, bytes, int | None, bool], _Candidates] = {}

    def of(self, request: Message, machine: Machine) -> tuple[str, ...]:
        """The names of the classes whose conditions all hold, in the order of the settings."""
        if not self._conditions:
            return ()
        options = request.options
        vendor, user = options.get(_VENDOR, b""), options.get(_USER, b"")
        # What the architecture is follows from its code, but for ROMs that say none.
        key = (vendor, user, machine.code, machine.architecture is None)
        candidates = self._known.get(key)
        if candidates is None:
            candidates = self._judged(vendor, user, machine)
            if len(vendor) + len(user) <= _MEMORABLE:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = candidates
        octets = machine.hwaddr.octets if machine.hwaddr is not None else b""
        return tuple([name for name, prefixes in candidates if not prefixes or octets.startswith(prefixes)])

    def _judged(self, vendor: bytes, user: bytes, machine: Machine) -> _Candidates:
        """The classes whose conditions hold but for the hardware address, with the prefixes that this must have."""
        users = {user, *user_classes(user)}
        return tuple((each.name, each.prefixes) for each in self._conditions if each.holds(vendor, users, machine))


class _Condition:
    """The conditions of one class."""

    def __init__(self, settings: ClassSettings) -> None:
        self.name = settings.name
        self.prefixes: _Prefixes = tuple(each.octets for each in settings.mac)
        self._architectures = settings.architecture
        self._vendor = _pattern(settings.vendor)
        self._user = _pattern(settings.user_class)

    def holds(self, vendor: bytes, users: set[bytes], machine: Machine) -> bool:
        """Whether all but that on the hardware address hold."""
        said = (machine.architecture, machine.code)
        return (
            (not self._architectures or any(each is not None and each in self._architectures for each in said))
            and (self._vendor is None or bool(self._vendor(vendor.decode("latin-1"))))
            and (self._user is None or any(self._user(each.decode("latin-1")) for each in users))
        )


def _pattern(glob: str) -> Callable[[str], re.Match[str] | None] | None:
    """What tells texts that a pattern fits; None of an empty pattern.

    The pattern is compared octet by octet: both sides are read as Latin-1, which has a character for each.
    """
    return re.compile(fnmatch.translate(glob.encode().decode("latin-1"))).match if glob else None
