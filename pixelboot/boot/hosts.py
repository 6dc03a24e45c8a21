"""What one machine boots, as the operator says of it, and what a store of that must do.  Pure.

A machine goes by the address of its network card, or by its UUID.  What holds is, in this order: what was chosen for
once; what was chosen; what the settings file says (``[[host]]``); the menu.  Of one kind, what is said of the network
card comes before what is said of the UUID.

What was chosen for *once* is over as soon as the machine has taken it, which it does by coming back for it: for the
kernel of a container, or for the script that does the rest.  To be sent the first script is not enough, for that can be
lost, and a machine can be switched off over it.  The URL by which it comes back has a token, which is of this one time
alone: one that is left over from another ends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, Protocol
from uuid import UUID

from pixelboot.boot.machine import Machine
from pixelboot.boot.seam import checked_id
from pixelboot.boot.settings import LOADER
from pixelboot.config import ConfigError
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome, Severity, printable

MENU, LOCAL, SHELL = "menu", "local", "shell"
"""What a machine can boot beside containers: what the menu says, its own disk, the boot loader's command line."""

_UUID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})", re.IGNORECASE)

Source = Literal["once", "chosen", "settings", "menu"]
"""Who says what a machine boots; the menu, where nobody does."""


@dataclass(frozen=True, slots=True)
class HostBoot:
    """What is said of one machine in one place."""

    boot: str = ""
    """What it boots: the id of a container, there or not, ``menu``, ``local`` or ``shell``; empty for nothing said."""

    once: str = ""
    """What it boots the next time, and that time alone; empty for nothing."""

    loader: str = ""
    """What it loads first, by PXE or UEFI HTTP boot, instead of the loader for its kind; empty for that."""

    token: str = ""
    """Tells this ``once`` from every other one; empty without one."""

    name: str = ""
    """What the settings file calls it; empty elsewhere."""


NOTHING: Final = HostBoot()
"""What holds for a machine of which nothing was said."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What one machine boots now."""

    what: str
    """The id of a container, there or not, ``menu``, ``local`` or ``shell``."""

    source: Source
    """Who says so."""

    token: str = ""
    """Tells this time from every other one, where it is for once; else empty."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """All that is said of single machines, by their keys (see `host_key`).  The same object until something changes."""

    chosen: Mapping[str, HostBoot] = field(default_factory=lambda: MappingProxyType({}))
    """What was chosen while the server ran; it has those machines alone of which something was."""

    settled: Mapping[str, HostBoot] = field(default_factory=lambda: MappingProxyType({}))
    """What the settings file says."""

    by_uuid: bool = field(init=False)
    """Whether some machine goes by its UUID."""

    def __post_init__(self) -> None:
        by_uuid = any(_UUID.fullmatch(key) for said in (self.chosen, self.settled) for key in said)
        object.__setattr__(self, "by_uuid", by_uuid)

    def __bool__(self) -> bool:
        """Whether anything is said of any machine."""
        return bool(self.chosen or self.settled)

    def boot(self, keys: Sequence[str]) -> Boot:
        """What the machine with these keys boots."""
        chosen = [said for key in keys if (said := self.chosen.get(key)) is not None]
        for each in chosen:
            if each.once:
                return Boot(each.once, "once", each.token)
        for each in chosen:
            if each.boot:
                return Boot(each.boot, "chosen")
        for key in keys:
            if (said := self.settled.get(key)) is not None and said.boot:
                return Boot(said.boot, "settings")
        return Boot(MENU, "menu")

    def once(self, token: str) -> tuple[str, str] | None:
        """The key of the machine that boots something once with this token, and what; None when none does any more."""
        for key, said in self.chosen.items():
            if token and said.token == token:
                return key, said.once
        return None

    def loader(self, keys: Sequence[str]) -> str:
        """What the machine with these keys loads first; empty for what its kind does."""
        for place in (self.chosen, self.settled):
            for key in keys:
                if (said := place.get(key)) is not None and said.loader:
                    return said.loader
        return ""

    def having(self, changes: Mapping[str, HostBoot]) -> Hosts:
        """These with something else chosen for some machines."""
        chosen = {key: said for key, said in {**self.chosen, **changes}.items() if said != NOTHING}
        return replace(self, chosen=MappingProxyType(chosen))


NOBODY: Final = Hosts()
"""Nothing is said of any machine."""


class HostStore(Protocol):
    """Keeps what was chosen.  What a change returns is durable; changes are made one at a time, in the order asked."""

    async def hosts(self) -> Hosts:
        """What holds now; at once."""

    async def change(self, key: str, said: Mapping[str, object]) -> tuple[HostBoot, HostBoot]:
        """Choose for a machine as `amended` does: what was chosen before, and after.

        Raises `Malformed` for what cannot be, `pixelboot.boot.seam.ChoiceFailed` when it could not be written.
        """

    async def reset(self, key: str) -> tuple[HostBoot, HostBoot]:
        """Forget what was chosen for a machine: before and after; raises as `change` does."""

    async def take(self, token: str) -> str | None:
        """The machine with this token has come for what it was to boot once, which is over: its key.

        None, and nothing done, when there is no such token any more.  Raises as `change` does; then it is not over.
        """


class Told(Protocol):
    """What a ``[[host]]`` of the settings file says, as far as it is about booting."""

    @property
    def name(self) -> str:
        """What it is called; may be empty."""

    @property
    def mac(self) -> HardwareAddress | None:
        """Its network card, if it goes by it."""

    @property
    def uuid(self) -> UUID | None:
        """Its UUID, if it goes by it."""

    @property
    def boot(self) -> str:
        """See `HostBoot.boot`."""

    @property
    def loader(self) -> str:
        """See `HostBoot.loader`."""


def settled(hosts: Iterable[Told]) -> Mapping[str, HostBoot]:
    """What the settings file says, by the keys of each host; raises `ConfigError`.

    A host without a key of these cannot be told from others when its script is fetched.
    """
    found: dict[str, HostBoot] = {}
    for number, host in enumerate(hosts, 1):
        keys = [str(key) for key in (host.mac, host.uuid) if key is not None]
        for setting, value, checked in (("boot", host.boot, checked_boot), ("loader", host.loader, checked_loader)):
            try:
                checked(value)
            except Malformed as problem:
                raise ConfigError(f"host[{number}].{setting}", value, str(problem)) from None
            if value and not keys:
                raise ConfigError(f"host[{number}].{setting}", value, "is for a host that goes by its mac or uuid")
        found.update(dict.fromkeys(keys, HostBoot(host.boot, loader=host.loader, name=host.name)))
    return MappingProxyType(found)


def host_key(text: str) -> str:
    """What a machine goes by: ``02:aa:00:00:00:01``, or ``00112233-4455-6677-8899-aabbccddeeff`` for its UUID.

    Raises `Malformed`.
    """
    if _UUID.fullmatch(text):
        return text.lower()
    try:
        return str(HardwareAddress.parse(text))
    except Malformed:
        raise Malformed(
            f"{text[:60]!r} is no machine: it goes by the address of its network card (02:aa:00:00:00:01), "
            "or by its UUID (00112233-4455-6677-8899-aabbccddeeff)"
        ) from None


def uuid_key(octets: bytes) -> str:
    """The key of a machine by the UUID that it sends, 16 octets: the first three fields are little-endian.

    So EFI and PXE have it (RFC 4578 §2.3), iPXE too; people, ``dmidecode`` and iPXE's ``${uuid}`` write it turned.
    """
    return str(UUID(bytes_le=octets))


def keys_of(machine: Machine, by_uuid: bool = True) -> list[str]:
    """What a machine goes by, as far as it told DHCP, the first first; without its UUID where nobody goes `by_uuid`.

    There is firmware that sends its UUID as it is written, so that is looked for as well.
    """
    keys = [] if machine.hwaddr is None else [str(machine.hwaddr)]
    if by_uuid and machine.uuid is not None:
        keys += [uuid_key(machine.uuid), str(UUID(bytes=machine.uuid))]
    return keys


def amended(before: HostBoot, said: Mapping[str, object], token: str) -> HostBoot:
    """`before` with what was `said` in the place of some: texts as JSON has them, None for what holds unsaid.

    A ``once`` that is said is another time, with `token`, even where it says the same.  Raises `Malformed`, which names
    what is allowed.
    """
    for key in said:
        if key not in _CHECKS:
            raise Malformed(f"there is no setting {key!r}, only {', '.join(_CHECKS)}")
    changes: dict[str, Any] = {key: _CHECKS[key](value) for key, value in said.items()}
    if "once" in changes:
        changes["token"] = token if changes["once"] else ""
    return replace(before, **changes)


def said_of(host: HostBoot) -> dict[str, object]:
    """What is said of a machine, as values that JSON can hold: what `amended` takes."""
    return {key: getattr(host, key) for key in _CHECKS}


def described(key: str, hosts: Hosts, notice: Callable[[str], str | None]) -> dict[str, object]:
    """A machine as values that JSON can hold.

    ``boots`` is what it boots next, ``source`` who says so, and ``notice`` why it will not, or null.
    """
    settled = hosts.settled.get(key)
    boot = hosts.boot([key])
    return {
        "id": key,
        "name": settled.name if settled else "",
        "boots": boot.what,
        "source": boot.source,
        "notice": notice(boot.what),
        "loader": hosts.loader([key]),
        "chosen": said_of(hosts.chosen.get(key, NOTHING)),
        "settings": None if settled is None else {"boot": settled.boot, "loader": settled.loader},
    }


def checked_boot(value: object) -> str:
    """What a machine can boot, or empty; `Malformed` else."""
    return "" if value is None or value == "" else checked_id(value)


def checked_loader(value: object) -> str:
    """What a machine can load first, or empty; `Malformed` else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed("loader must be a text")
    try:
        return LOADER.parse(value)
    except ValueError as problem:
        why = f"; {problem}" if isinstance(problem, Malformed) else ""
        raise Malformed(f"loader must be {LOADER.allowed}{why}") from None


_CHECKS: Final[Mapping[str, Any]] = {"boot": checked_boot, "once": checked_boot, "loader": checked_loader}


@dataclass(frozen=True, slots=True)
class HostTook(Outcome):
    """A machine has come for what it was to boot once."""

    service: ClassVar[str] = "http"

    host: str
    """The key of the machine."""

    what: str
    """What it boots."""

    then: str
    """What it boots from now on."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.host} boots {self.what} this once, and {self.then} from now on"


@dataclass(frozen=True, slots=True)
class HostHindered(Outcome):
    """A machine cannot boot what was chosen for it, and got the menu instead."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0
    burst: ClassVar[int] = 20

    host: str
    """The machine."""

    reason: str
    """Why; may hold untrusted text."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.host, 100)} gets the menu: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class TakeFailed(Outcome):
    """It could not be written that a machine has come for what it was to boot once, so it gets nothing for now."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 60.0

    reason: str
    """Why."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"machines wait for what they shall boot once, which cannot be noted as taken: {printable(self.reason)}"
