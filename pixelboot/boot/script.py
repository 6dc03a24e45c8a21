"""The scripts that iPXE runs: the first one, and the menu.  Pure text, from values.

What iPXE does to a script's text, read in its sources (``src/image/script.c``, ``src/core/exec.c``, ``getopt.c``,
``settings.c``, ``uri.c``) and the same in git-20190125, which Debian 12 has, as in today's:

* A line ends at LF; a backslash at its end joins it with the next one.  A first word ``:x`` makes a label.
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
from urllib.parse import quote

from pixelboot.boot.menu import LOCAL, SHELL, Entry, Menu
from pixelboot.hwaddr import HardwareAddress

COMMAND_LINE_LIMIT = 2047
"""Octets of command line that a kernel for x86 or arm64 takes (``COMMAND_LINE_SIZE`` less its NUL)."""

LONGEST_TIMEOUT = 4_194_000
"""Milliseconds that a menu can count down from: 32-bit iPXE multiplies them by 1024 in 32 bits."""

_TERMINATORS = frozenset({"||", "&&", ";"})
_WHITE = " \t\n\r\f\v"
_QUOTED = re.compile(r'"[^"]*(?:"|$)')

_INITRD = "initrd=initrd"
"""For UEFI, where the kernel asks the firmware for its initial RAM disk by the name we give it; harmless on BIOS."""


def boot_script(machine: HardwareAddress | None) -> str:
    """The first script a machine gets: go on to the menu, try again when that fails.

    `machine` is whose script it is, and travels on in the query; None lets iPXE say whose.
    """
    mac = str(machine).replace(":", "-") if machine else "${netX/mac:hexhyp}"
    return f"""#!ipxe
:menu
chain --replace --autofree menu.ipxe?mac={mac} || goto failed
:failed
echo
echo pixelboot: the menu could not be fetched from the server.
prompt --key s --timeout 10000 Press s for the iPXE shell. Trying again in 10 seconds. && goto shell || goto menu
:shell
echo Type exit to try again.
shell ||
goto menu
"""


def menu_script(menu: Menu) -> str:
    """The menu, and what each of its items does.

    After anything that failed the menu comes back and waits for a person: a default that fails boots once, not for
    ever.  That state is kept in a setting of iPXE, so that it outlives this script.
    """
    labelled = [(f"boot-{number}", entry) for number, entry in enumerate(menu.entries, 1)]
    labels = {entry.id: label for label, entry in labelled} | {LOCAL: LOCAL, SHELL: SHELL}
    choose = f"choose --default {labels[menu.default]}"
    items = [f"item {label} {_title(entry)}" for label, entry in labelled]
    lines = [
        "#!ipxe",
        ":menu",
        "menu pixelboot",
        *([f"item --gap -- {shown(menu.notice, 76)}"] if menu.notice else []),
        "item --gap -- Containers",
        *(items or ["item --gap -- (there is none to boot)"]),
        "item --gap -- This machine",
        "item local Boot from the local disk",
        "item shell iPXE shell",
        "isset ${pixelboot-waits} && goto wait ||",
        f"{choose}{_timeout(menu.timeout)} selected || goto shell",
        "goto ${selected}",
        ":wait",
        f"{choose} selected || goto shell",
        "goto ${selected}",
        # To a BIOS the first disk is drive 0x80.  UEFI firmware goes on with its boot order when we end in an error,
        # and opens its own menu when we end in success (EDK2, BootBootOptions).
        ":local",
        "iseq ${platform} efi && exit 1 ||",
        "sanboot --no-describe --drive 0x80 ||",
        "goto failed",
        ":shell",
        "echo Type exit to come back to the menu.",
        "shell ||",
        "set pixelboot-waits yes",
        "goto menu",
        ":failed",
        "set pixelboot-waits yes",
        "echo",
        "echo pixelboot: that did not boot.",
        "prompt --timeout 5000 The menu comes back in 5 seconds, or at any key. ||",
        "goto menu",
    ]
    for label, entry in labelled:
        lines += [f":{label}", *_boot(entry)]
    return "\n".join(lines) + "\n"


def obstacle(entry: Entry) -> str | None:
    """Why iPXE cannot pass `entry`'s command line to its kernel as it is; None when it can.

    White space outside double quotes separates parameters for the kernel as it does for iPXE, however much of it there
    is, so it may change; everything else may not.
    """
    line = entry.cmdline.strip(_WHITE)
    if not all(" " <= c <= "~" or c in _WHITE for c in line):
        return "its command line has characters that are not ASCII text"
    if "${" in line:
        return "its command line has ${, which iPXE would replace"
    words = line.split()
    for word in words:
        if word in _TERMINATORS or word.startswith("#"):
            return f"its command line has the word {word[:16]}, where iPXE would end it"
    if any(re.search(r"\s\s|[^\S ]", quoted) for quoted in _QUOTED.findall(line)):
        return "its command line has white space between quotes that iPXE would change"
    if line.endswith("\\"):
        return "its command line ends with a backslash, where iPXE would join the next line"
    if len(_arguments(entry)) > COMMAND_LINE_LIMIT:
        return f"its command line is longer than {COMMAND_LINE_LIMIT} octets"
    return None


def shown(text: str, limit: int) -> str:
    r"""Untrusted `text`, cut at about `limit` characters, as words that iPXE prints and cannot read as anything else.

    White space becomes one space, what is not ASCII a question mark, ``\`` a slash; ``${`` is parted, and a word that
    would end the command stands in parentheses.
    """
    plain = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in text[:limit])
    words = plain.replace("\\", "/").replace("${", "$ {").split()
    return " ".join(f"({word})" if word in _TERMINATORS or word.startswith("#") else word for word in words) or "?"


def _title(entry: Entry) -> str:
    about = f"{_megabytes(entry.size)} MB"
    if entry.distro:
        about += f", {shown(entry.distro, 20)}"
    title = f"{shown(entry.name, 40)} ({about})"
    return title if entry.obstacle is None else f"{title} - cannot boot"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size < 10_000_000 else f"{size / 1e6:.0f}"


def _timeout(seconds: float) -> str:
    """The option for `choose`; its 0 means for ever, so a wait that is only very short must not become one."""
    if seconds <= 0:
        return ""
    return f" --timeout {max(1, min(round(seconds * 1000), LONGEST_TIMEOUT))}"


def _boot(entry: Entry) -> list[str]:
    name = shown(entry.name, 60)
    if entry.obstacle is not None:
        return [f"echo pixelboot: {name} cannot boot here:", f"echo -- {shown(entry.obstacle, 100)}.", "goto failed"]
    url = f"containers/{quote(entry.id, safe='', errors='replace')}"
    load = ["imgfree", f"kernel {url}/kernel {_arguments(entry)}".rstrip() + " || goto failed"]
    if entry.initrd:
        load.append(f"initrd --name initrd {url}/initrd || goto failed")
    return [f"echo pixelboot: starting {name}", *load, "boot || goto failed", "goto failed"]


def _arguments(entry: Entry) -> str:
    return " ".join([_INITRD, *entry.cmdline.split()] if entry.initrd else entry.cmdline.split())
