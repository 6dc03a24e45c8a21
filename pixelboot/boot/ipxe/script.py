"""The scripts that iPXE runs: the first one, and the menu.  Pure text, from values.

What iPXE does to a script's text, read in its sources (``src/image/script.c``, ``src/core/exec.c``, ``getopt.c``,
``settings.c``, ``uri.c``) and the same in git-20190125, which Debian 12 has, as in today's:

* A line ends at LF; a backslash at its end joins it with the next one.  A first word ``:x`` makes the label ``x``,
  which may have any characters but white space.
* A line is split into words at white space.  There are no quotes and no escapes.  A word that is ``||``, ``&&`` or
  (newer versions) ``;`` ends a command, a word that begins with ``#`` ends the line.
* In every word ``${name}`` is replaced, and the result is looked through again.  Nothing prevents that.
* Words beginning with ``-`` are options up to the first word that is none, or to ``--``.
* The words of a kernel's command line are joined again by single spaces.  The BIOS loader cuts it at what the kernel
  says it takes, 2047 octets; the UEFI loader widens octets to UTF-16 one by one.
* A relative URL ends at the first ``:`` as if that ended a scheme, hence dashes in the hardware address of a query.

So names, which are there to be read, are written in characters that mean nothing to iPXE (`shown`), and a command
line, which has to arrive as it is, is refused when it would not (`obstacle`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from pixelboot.boot.ipxe.arguments import TERMINATORS, unpassable
from pixelboot.boot.ipxe.menu import LOCAL, SHELL, Entry, Menu
from pixelboot.hwaddr import HardwareAddress

LONGEST_TIMEOUT = 4_194_000
"""Milliseconds that a menu can count down from: 32-bit iPXE multiplies them by 1024 in 32 bits."""

TITLE_LIMIT = 70
"""Characters of an item: iPXE shows 74 on a screen of 80 columns, and counts down over the last."""

LEAST_DESCRIPTION = 12
"""Characters for which there must be room behind a name, else its description is left out."""

_MEANT = re.compile("[#|&;]")
"""What the words have that mean something."""

# To a BIOS the first disk is drive 0x80.  UEFI firmware goes on with its boot order when we end in an error, and opens
# its own menu when we end in success (EDK2, BootBootOptions).
_LOCAL = """iseq ${platform} efi && exit 1 ||
sanboot --no-describe --drive 0x80 ||"""

_INITRD = "initrd=initrd"
"""For UEFI, where the kernel asks the firmware for its initial RAM disk by the name we give it; harmless on BIOS."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a machine says of itself in the queries of its URLs."""

    machine: HardwareAddress | None = None
    """Its network card; None lets iPXE say which."""

    uuid: str = ""
    """Its UUID as it is written; `OWN_UUID` lets iPXE say it, empty is not a word of it."""

    base: str = ""
    """What its URLs begin with (``http://10.77.0.1:8080/``); empty for a script that is fetched from there itself.

    A script that is not may be the first thing that an iPXE runs, before the network is up.
    """

    @property
    def network(self) -> str:
        """The line that brings the network up where that may be needed."""
        return "isset ${ip} || dhcp || goto failed\n" if self.base else ""

    def __str__(self) -> str:
        mac = str(self.machine).replace(":", "-") if self.machine else "${netX/mac:hexhyp}"
        return f"mac={mac}&uuid={self.uuid}" if self.uuid else f"mac={mac}"


OWN_UUID = "${uuid}"
"""What iPXE replaces by the UUID of the machine, or by nothing if that has none."""


def boot_script(query: Query, notice: str = "") -> str:
    """The first script of a machine that goes by the menu: go on to it, try again when that fails.

    `notice` is what the person before the machine is told first; it may hold untrusted text.
    """
    told = ""
    if notice:
        told = f"""echo
echo pixelboot: {shown(notice, 200)}
prompt --timeout 10000 The menu comes in 10 seconds, or at any key. ||
"""
    return _going_on(f"menu.ipxe?{query}", "menu", query, told)


def asking_script(query: Query, more: str = "") -> str:
    """The first script of a machine that has to come again, and say more of itself; `more` of the query is as it is."""
    return _going_on(f"boot.ipxe?{query}{more and '&' + more}", "script", query, "")


def _going_on(to: str, what: str, query: Query, before: str) -> str:
    return f"""#!ipxe
{before}:{what}
{query.network}chain --replace --autofree {query.base}{to} || goto failed
:failed
echo
echo pixelboot: the {what} could not be fetched from the server.
prompt --key s --timeout 10000 Press s for the iPXE shell. Trying again in 10 seconds. && goto shell || goto {what}
:shell
echo Type exit to try again.
shell ||
goto {what}
"""


def container_script(entry: Entry, query: Query, token: str = "") -> str:
    """The script of a machine that boots one container, without a menu; the entry has no obstacle.

    What was chosen for once has a `token`, which the machine brings when it comes for the kernel.  The server then
    holds it for taken, so when anything fails the machine tries the same again.  Else it asks the server anew.
    """
    load = "\n".join(_load(entry, token and f"?once={token}", query.base))
    again = "goto boot" if token else f"chain --replace --autofree {query.base}boot.ipxe?{query} || goto failed"
    return _doing(load, query, again)


def local_script(query: Query) -> str:
    """The script of a machine that boots its own disk."""
    return _doing(_LOCAL, query, "goto boot")


def shell_script(query: Query) -> str:
    """The script of a machine that gets iPXE's command line."""
    return _doing("echo Type exit for the menu.\nshell ||\ngoto menu", query, "goto boot")


def _doing(what: str, query: Query, again: str) -> str:
    return f"""#!ipxe
:boot
{query.network}{what}
:failed
echo
echo pixelboot: that did not boot.
prompt --key m --timeout 10000 Press m for the menu. Trying again in 10 seconds. && goto menu ||
{again}
:menu
chain --replace --autofree {query.base}menu.ipxe?{query} || goto failed
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What the menu's script says of one entry; it does not depend on where in the menu that stands."""

    item: str
    """The line of the item, with its end."""

    block: str
    """The lines from its label to the end of what it does."""


def write_entry(entry: Entry) -> Written:
    """Write down one entry."""
    label = _label(entry.id)
    return Written(f"item {label} {_title(entry)}\n", "\n".join([f":{label}", *_boot(entry), ""]))


def menu_frame(menu: Menu, *, offered: bool) -> tuple[str, str]:
    """What stands in the menu's script before the items of its entries, and between these and their blocks.

    The items come in the order in which they are shown, the blocks in any; `offered` tells whether there are any.

    After anything that failed the menu comes back and waits for a person: a default that fails boots once, not for
    ever.  That state is kept in a setting of iPXE, so that it outlives this script.
    """
    choose = f"choose --default {menu.default if menu.default in (LOCAL, SHELL) else _label(menu.default)}"
    notice = f"item --gap -- {shown(menu.notice, 76)}\n" if menu.notice else ""
    before = f"#!ipxe\n:menu\nmenu pixelboot\n{notice}item --gap -- Containers\n"
    if not offered:
        before += "item --gap -- (there is none to boot)\n"
    between = f"""item --gap -- This machine
item local Boot from the local disk
item shell iPXE shell
isset ${{pixelboot-waits}} && goto wait ||
{choose}{_timeout(menu.timeout)} selected || goto shell
goto ${{selected}}
:wait
{choose} selected || goto shell
goto ${{selected}}
:local
{_LOCAL}
goto failed
:shell
echo Type exit to come back to the menu.
shell ||
set pixelboot-waits yes
goto menu
:failed
set pixelboot-waits yes
echo
echo pixelboot: that did not boot.
prompt --timeout 5000 The menu comes back in 5 seconds, or at any key. ||
goto menu
"""
    return before, between


def obstacle(entry: Entry) -> str | None:
    """Why iPXE cannot pass `entry`'s command line to its kernel as it is; None when it can."""
    reason = unpassable(entry.cmdline, len(_INITRD) + 1 if entry.initrd else 0)
    return None if reason is None else f"its command line {reason}"


def shown(text: str, limit: int) -> str:
    r"""Untrusted `text`, cut at about `limit` characters, as words that iPXE prints and cannot read as anything else.

    White space becomes one space, what is not ASCII a question mark, ``\`` a slash; ``${`` is parted, and a word that
    would end the command stands in parentheses.
    """
    plain = text[:limit]
    if not (plain.isascii() and plain.isprintable()):
        plain = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in plain)
    words = plain.replace("\\", "/").replace("${", "$ {").split()
    if not _MEANT.search(plain):
        return " ".join(words) or "?"
    return " ".join(f"({word})" if word in TERMINATORS or word.startswith("#") else word for word in words) or "?"


def _label(id: str) -> str:  # noqa: A002
    """The label of a container; nothing else has one that begins so."""
    return f"boot-{quote(id, safe='', errors='replace')}"


def _title(entry: Entry) -> str:
    """The name; its description, where there is one and room for it; size and distribution."""
    about = f" ({_megabytes(entry.size)} MB"
    about += f", {shown(entry.distro, 20)})" if entry.distro else ")"
    if entry.obstacle is not None:
        about += " - cannot boot"
    name = shown(entry.name, 40)
    room = TITLE_LIMIT - len(name) - len(about) - len(" - ")
    if not entry.description.strip() or room < LEAST_DESCRIPTION:
        return name + about
    said = shown(entry.description, TITLE_LIMIT + 1)
    return f"{name} - {said if len(said) <= room else said[: room - 3].rstrip() + '...'}{about}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size < 10_000_000 else f"{size / 1e6:.0f}"


def _timeout(seconds: float) -> str:
    """The option for `choose`; its 0 means for ever, so a wait that is only very short must not become one."""
    if seconds <= 0:
        return ""
    return f" --timeout {max(1, min(round(seconds * 1000), LONGEST_TIMEOUT))}"


def _boot(entry: Entry) -> list[str]:
    if entry.obstacle is not None:
        name = shown(entry.name, 60)
        return [f"echo pixelboot: {name} cannot boot here:", f"echo -- {shown(entry.obstacle, 100)}.", "goto failed"]
    return [*_load(entry), "goto failed"]


def _load(entry: Entry, query: str = "", base: str = "") -> list[str]:
    """What boots an entry without an obstacle, or goes to ``failed``; `query` stands behind the URL of the kernel."""
    url = f"{base}containers/{quote(entry.id, safe='', errors='replace')}"
    load = [f"echo pixelboot: starting {shown(entry.name, 60)}", "imgfree"]
    load.append(f"kernel {url}/kernel{query} {_arguments(entry)}".rstrip() + " || goto failed")
    if entry.initrd:
        load.append(f"initrd --name initrd {url}/initrd || goto failed")
    return [*load, "boot || goto failed"]


def _arguments(entry: Entry) -> str:
    return " ".join([_INITRD, *entry.cmdline.split()] if entry.initrd else entry.cmdline.split())
