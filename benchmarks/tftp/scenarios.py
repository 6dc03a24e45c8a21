"""What is downloaded: by how many at a time, of what size, and how."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tftp import load
from benchmarks.tftp.servers import Server

KIB, MIB = 1 << 10, 1 << 20

BLKSIZE = 1468
"""What all ask for, as firmware does: what fits a packet of Ethernet."""

MANY = 200
"""Files beside the others that are downloaded at once, ``many0`` and so on."""

_SIZES = {
    "4k": 4 * KIB,
    "64k": 64 * KIB,
    "256k": 256 * KIB,
    "1m": MIB,
    "4m": 4 * MIB,
    "8m": 8 * MIB,
    "64m": 64 * MIB,
    **{f"many{number}": 64 * KIB for number in range(MANY)},
}
"""Files, and their octets."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Downloads by a number of clients at a time."""

    key: str
    """How it is named on the command line."""

    title: str
    """As it stands above its table."""

    file: str
    """What is downloaded."""

    clients: int
    """How many at a time."""

    downloads: int
    """How many in all."""

    options: tuple[str, ...] = ()
    """Further options of the load."""

    light: tuple[str, int] | None = None
    """What is downloaded from a slow server, and how many times."""

    compared: str = "dnsmasq"
    """The server that the table compares all with."""

    is_idle: bool = False
    """Whether servers do little but wait in it, so that it matters little what others do beside them."""

    def admits(self, server: Server) -> bool:
        """Whether a server can be measured in it."""
        return self.key not in server.spared and (server.has_windows or "-w" not in self.options)

    def words(self, server: Server, files: Path, seed: int) -> list[str]:
        """The command line of its load; `seed` decides which packets are lost, where some are."""
        name, downloads = self.light if self.light and server.is_light else (self.file, self.downloads)
        return load.words(server.address, files, name, self.clients, downloads, *self._options(server), "-s", str(seed))

    def warm(self, server: Server, files: Path) -> list[str]:
        """The command line of one download like those that are to be measured."""
        name = self.light[0] if self.light and server.is_light else self.file
        return load.words(server.address, files, name, 1, 1, "-b", str(BLKSIZE), *_tolerant(server))

    def _options(self, server: Server) -> tuple[str, ...]:
        return ("-b", str(BLKSIZE), *self.options, *_tolerant(server))


def _tolerant(server: Server) -> tuple[str, ...]:
    return ("-A",) if server.any_source else ()


def knock(server: Server, files: Path) -> list[str]:
    """The command line of a load that tries whether a server answers."""
    return load.words(server.address, files, "4k", 1, 1, "-T", "200", "-x", "1", *_tolerant(server))


def usual(server: Server, files: Path) -> list[str]:
    """The command line of a load like that of a quiet hour: small files, few clients."""
    return load.words(server.address, files, "4k", 4, 800, "-b", str(BLKSIZE), *_tolerant(server))


_WINDOW = ("-w", "16")

SCENARIOS = {
    scenario.key: scenario
    for scenario in (
        Scenario("one", "1 client, 64 MiB", "64m", 1, 1, light=("8m", 1)),
        Scenario("many", "64 clients at once, 4 MiB each", "4m", 64, 64, light=("1m", 64)),
        Scenario("small", "64 clients at a time, 4,000 files of 4 KiB", "4k", 64, 4000, ("-t",), ("4k", 1000)),
        Scenario("storm", "1,000 clients at once, 256 KiB each", "256k", 1000, 1000, light=("64k", 1000)),
        Scenario(
            "window", "64 clients at once, 4 MiB each, windowsize 16", "4m", 64, 64, _WINDOW, ("1m", 64), "atftpd"
        ),
        Scenario("window-one", "1 client, 64 MiB, windowsize 16", "64m", 1, 1, _WINDOW, ("8m", 1), "atftpd"),
        Scenario(
            "loss",
            "64 clients at a time, 128 files of 64 KiB, 2 % lost",
            "64k",
            64,
            128,
            ("-l", "2", "-T", "2000"),
            is_idle=True,
        ),
    )
}
"""By key."""


def make_files(folder: Path) -> None:
    """Make all that is downloaded, of octets that do not repeat themselves, the same at every time."""
    folder.mkdir()
    chance = random.Random(69)
    for name, size in _SIZES.items():
        (folder / name).write_bytes(chance.randbytes(size))
