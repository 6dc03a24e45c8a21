"""The command lines of ``twistd pixelboot``, ``pixelboot-dhcp``, ``pixelboot-tftp`` and ``pixelboot-http``."""

from __future__ import annotations

import os
import sys
from typing import Any, ClassVar, NoReturn

from twisted.python import usage

from pixelboot.config import Declared, declared, dump, encodable
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable
from pixelboot.site import Site, load
from pixelboot.tap.examine import EVERYTHING, doubts, examine, wanted
from pixelboot.tap.places import summary


def _option(setting: Declared, part: str) -> str:
    """The name of a setting's option: in the plugin of one part, that part's settings need not name it."""
    return setting.option.removeprefix(f"{part}-") if setting.path[0] == part else setting.option


def _parameters(part: str) -> list[list[Any]]:
    """The settings as usage.Options wants them: long name, short name, default, help."""
    rows: list[list[Any]] = [["config", "c", None, "The settings file, TOML. Options win over what it says."]]
    for setting in declared(Site):
        if not setting.kind.flag:
            told = f"{setting.help} ({setting.kind.allowed}; default {setting.default!r})"
            rows.append([_option(setting, part), None, None, told])
    return rows


def _flags(part: str) -> list[list[Any]]:
    """The settings that are on or off: each has an option for either."""
    rows: list[list[Any]] = [["check", None, "Print the resulting settings and exit; bind nothing."]]
    for setting in declared(Site):
        if setting.kind.flag:
            option, default = _option(setting, part), "on" if setting.default else "off"
            rows += [[option, None, f"{setting.help} (default {default})"], [f"no-{option}", None, "The opposite."]]
    return rows


class Options(usage.Options):
    """The command line of ``twistd pixelboot``; after parsing, `site` holds the settings."""

    part: ClassVar[str] = ""
    optFlags: ClassVar[list[list[Any]]] = _flags("")
    optParameters: ClassVar[list[list[Any]]] = _parameters("")

    site: Site

    def postOptions(self) -> None:
        """Read the settings; wrong ones end the process with status 1, ``--check`` ends it with the settings."""
        try:
            given = {setting.path: self._words(setting) for setting in declared(Site)}
            words = {path: text for path, text in given.items() if text is not None}
            self.site = load(self["config"], words, os.environ)
            if self["check"]:
                self.check()
                raise SystemExit(0)
        except Malformed as problem:
            refuse(problem)

    def check(self) -> None:
        """Look whether this machine can serve what was read, and print it; raises `Malformed` if it cannot.

        What is no mistake, but may be one, is told on standard error, a line each.
        """
        from twisted.internet import reactor

        parts = frozenset({self.part}) if self.part else EVERYTHING
        examine(self.site, parts, reactor)
        for line in doubts(self.site, parts):
            sys.stderr.write(f"pixelboot: {line}\n")
        told = dump(self.site)
        if "http" in wanted(self.site, parts):
            # A comment of TOML, so that all of it can be a settings file.
            told += "".join(f"\n# {printable(line, 1000)}" for line in summary(self.site.http.listen)) + "\n"
        sys.stdout.write(encodable(told, sys.stdout.encoding or "utf-8"))

    def _words(self, setting: Declared) -> str | None:
        """What the command line says of a setting; None for nothing."""
        option = _option(setting, self.part)
        if not setting.kind.flag:
            words: str | None = self[option]
            return words
        yes, no = self[option], self[f"no-{option}"]
        if yes and no:
            raise Malformed(f"--{option} and --no-{option} exclude each other")
        return "true" if yes else "false" if no else None


class DhcpOptions(Options):
    """The command line of ``twistd pixelboot-dhcp``."""

    part = "dhcp"
    optFlags: ClassVar[list[list[Any]]] = _flags("dhcp")
    optParameters: ClassVar[list[list[Any]]] = _parameters("dhcp")


class TftpOptions(Options):
    """The command line of ``twistd pixelboot-tftp``."""

    part = "tftp"
    optFlags: ClassVar[list[list[Any]]] = _flags("tftp")
    optParameters: ClassVar[list[list[Any]]] = _parameters("tftp")


class HttpOptions(Options):
    """The command line of ``twistd pixelboot-http``."""

    part = "http"
    optFlags: ClassVar[list[list[Any]]] = _flags("http")
    optParameters: ClassVar[list[list[Any]]] = _parameters("http")


def refuse(problem: Malformed) -> NoReturn:
    """End before anything runs: one line on standard error, status 1."""
    raise SystemExit(f"pixelboot: {problem}")
