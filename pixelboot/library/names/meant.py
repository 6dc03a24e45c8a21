"""What a name means before anybody looks for files: rules, aliases, and folders of single machines.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pixelboot.config import Entry, Invalid, Kind, listing, mapping, text
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.names import remap
from pixelboot.library.names.asker import Asker
from pixelboot.library.names.components import Forbidden, components
from pixelboot.malformed import Malformed

Parts = tuple[str, ...]
"""The components of a name."""

MAC, SERIAL = "mac", "serial"
"""The kinds of folders that single machines have."""

_SERIAL = re.compile(r"[0-9A-Fa-f]{8}")


class Names:
    """How a site's names are meant."""

    def __init__(
        self,
        aliases: Mapping[str, str] | None = None,
        rules: Iterable[str] = (),
        machine_folders: Sequence[str] = (),
        ignore_case: bool = True,
    ) -> None:
        """`aliases` and `rules` are as the settings have them, checked; `machine_folders` are `MAC` and `SERIAL`."""
        targets = {components(name): components(target) for name, target in (aliases or {}).items()}
        self._aliases = {name: _end(name, targets) for name in targets}
        self._rules = [rule for line in rules if (rule := remap.parse(line)) is not None]
        self.by_mac = MAC in machine_folders
        """Whether a machine may have a folder by the address of its network card."""
        self.by_serial = SERIAL in machine_folders
        """Whether what a board puts before all names may be left out."""
        self.ignore_case = ignore_case
        """Whether a file is found under a name that differs from its own in the case of letters."""
        self.by_address = bool(self._rules)
        """Whether a name may mean one thing to one address, and another thing to another."""

    def parts(self, name: str, asker: Asker, writing: bool = False) -> Parts:
        """The components of what `name` stands for.

        :raises Forbidden: for what is no name of a file in the tree, or is refused by a rule.
        """
        if self._rules:
            name = remap.remapped(self._rules, name, asker.address, writing)
        parts = components(name)
        return self._aliases.get(parts, parts)

    def candidates(self, parts: Parts, asker: Asker, top: Mapping[str, str] | None) -> tuple[Parts, ...]:
        """Where to look, the best first.

        `top` has the names in the root by their folded spelling; None where they are not known.
        """
        found = [parts]
        if self.by_serial and len(parts) > 1 and is_serial(parts[0]):
            found = [parts[1:]] if top is not None and parts[0].casefold() not in top else [parts, parts[1:]]
        if self.by_mac and asker.hwaddr is not None and top is not None:
            own = own_folder(asker.hwaddr, top)
            if own:
                found.insert(0, (own, *parts))
        return tuple(found)

    def wants_top(self, parts: Parts, asker: Asker) -> bool:
        """Whether it helps `candidates` to know the names in the root."""
        return (self.by_mac and asker.hwaddr is not None) or (self.by_serial and len(parts) > 1 and is_serial(parts[0]))


def own_folder(hwaddr: HardwareAddress, names: Mapping[str, str]) -> str:
    """The folder of a machine among `names`, which stand by their folded spelling; empty where it has none.

    ``52-54-00-12-34-56`` comes before ``01-52-54-00-12-34-56``, as PXELINUX writes it, and that before
    ``52:54:00:12:34:56``.
    """
    dashed = hwaddr.octets.hex("-")
    for spelling in (dashed, f"01-{dashed}", hwaddr.octets.hex(":")):
        if spelling in names:
            return names[spelling]
    return ""


def is_serial(component: str) -> bool:
    """Whether it looks like the serial number that a Raspberry Pi puts before all names: eight hex digits."""
    return _SERIAL.fullmatch(component) is not None


def _end(name: Parts, targets: Mapping[Parts, Parts]) -> Parts:
    """Where a chain of aliases ends; ValueError if it does not."""
    passed = {name}
    while (target := targets.get(name)) is not None:
        if target in passed:
            raise ValueError
        passed.add(target)
        name = target
    return name


def aliases() -> Kind[tuple[Entry[str], ...]]:
    """A table of names and what they stand for."""

    def check(name: str, target: object) -> str:
        if not isinstance(target, str):
            raise Malformed("must be the name of a file, as a text")
        for each in (name, target):
            try:
                components(each)
            except Forbidden as problem:
                raise Malformed(f"{each[:60]!r} is no name of a file: {problem}") from None
        return target

    kind = mapping('a table of names, "name" = "what it stands for"', check)

    def parse(value: object) -> tuple[Entry[str], ...]:
        entries = kind.parse(value)
        targets: dict[Parts, Parts] = {}
        for entry in entries:
            name = components(entry.key)
            if name in targets:
                raise Invalid(entry.key, entry.said, f"{'/'.join(name)} is given twice")
            targets[name] = components(entry.value)
        for entry in entries:
            try:
                _end(components(entry.key), targets)
            except ValueError:
                raise Invalid(entry.key, entry.said, "leads back to itself; an alias must end at a name") from None
        return entries

    return Kind(kind.allowed, parse, kind.from_text, kind.show)


def rules() -> Kind[tuple[str, ...]]:
    """A list of lines as in the map file of tftpd-hpa; a wrong one is told by its number, without the others."""
    kind = listing(text("a line as in the map file of tftpd-hpa"))

    def parse(value: object) -> tuple[str, ...]:
        lines = kind.parse(value)
        for number, line in enumerate(lines, 1):
            try:
                remap.parse(line)
            except Malformed as problem:
                raise Invalid(f"[{number}]", line, str(problem)) from None
        return lines

    return Kind(kind.allowed, parse, kind.from_text, kind.show)
