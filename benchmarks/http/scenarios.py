"""What is downloaded: by how many connections, of what size, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.http import files, load
from benchmarks.http.files import CONTAINER, CONTAINERS, GIB, KIB, LOADERS, MIB, PICTURES

SMALL = 4 * KIB
RANGE = 64 * KIB
SECTOR, READ = 512, 8 * KIB
"""What a machine reads of a disk at a time: sectors of that size, so many octets at the most."""

LARGE_FILE, MEDIUM_FILE, SMALL_FILE = (f"/{LOADERS}/{name}" for name in ("large", "medium", "small"))
PART = f"/{CONTAINERS}/{CONTAINER}/initrd"
"""The paths of the files; the last is a container's part, for pixelboot, and a file as well."""

_BULK = ("first_p50", "whole_p50", "whole_p99", "cpu_gb", "peak")
_REQUESTS = ("requests", "whole_p50", "whole_p99", "cpu_request", "peak")
_PARALLEL = ("first_p50", "first_last", "whole_p50", "whole_p99", "cpu_gb", "peak", "per_connection")
_SEQUENCE = ("requests", "early", "late", "whole_p50", "whole_p99", "cpu_request")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large everything is."""

    large: int
    """Octets of the large file."""

    medium: int
    """Octets of the medium one, and of the container's part."""

    requests: int
    """Of a machine that reads a disk, one after the other."""

    seconds: float
    """How long a closed loop lasts."""

    def make(self, folder: Path) -> None:
        """Make all that is downloaded, for every server to serve.

        :raises lab.process.LabError: if pixelboot does not pack the container.
        """
        for path, size in ((LARGE_FILE, self.large), (MEDIUM_FILE, self.medium), (SMALL_FILE, SMALL)):
            files.make(folder / path[1:], size)
        part = folder / PART[1:]
        part.parent.mkdir(parents=True)
        part.hardlink_to(folder / MEDIUM_FILE[1:])
        files.pack(part, folder / PICTURES)


FULL = Sizes(GIB, 64 * MIB, 10_000, 4.0)
QUICK = Sizes(64 * MIB, 4 * MIB, 1_000, 1.0)
"""To try whether all works: the figures are not worth much."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Downloads of one file by a number of connections at a time."""

    key: str
    """How it is named on the command line."""

    title: str
    """As it stands above its table."""

    file: str
    """The path of what is downloaded."""

    size: int
    """The octets of that."""

    connections: int
    """How many at a time."""

    options: tuple[str, ...]
    """Further options of the load."""

    warm: tuple[str, ...]
    """The same of the load that comes first, of which every octet is compared."""

    columns: tuple[str, ...]
    """What its table shows, beside the rate and what failed (`benchmarks.http.report.COLUMNS`)."""

    def words(self, seed: int) -> list[str]:
        """The command line of its load; `seed` decides which ranges are asked for."""
        return load.words(self.file, self.size, self.connections, *self.options, "-s", str(seed))

    def warming(self) -> list[str]:
        """The command line of the load that comes first."""
        return load.words(self.file, self.size, self.connections, *self.warm)


def described(sizes: Sizes) -> dict[str, Scenario]:
    """All scenarios, by key, at these sizes."""
    large, medium, loop = _told(sizes.large), _told(sizes.medium), ("-t", str(sizes.seconds))
    ranges = ("-r", str(RANGE))
    reads = ("-r", str(SECTOR), "-R", str(READ), "-a", str(SECTOR))
    crowd = f"200 connections at once, {medium} each"
    scenarios = (
        Scenario(
            "one", f"1 connection, {large} 4 times", LARGE_FILE, sizes.large, 1, ("-n", "4", "-d"), ("-n", "1"), _BULK
        ),
        Scenario("eight", f"8 connections at once, {large} each", LARGE_FILE, sizes.large, 8, ("-d",), (), _BULK),
        Scenario(
            "ranges",
            f"64 connections, ranges of 64 KiB of {large}",
            LARGE_FILE,
            sizes.large,
            64,
            (*ranges, *loop),
            (*ranges, "-n", "640"),
            _REQUESTS,
        ),
        Scenario("small", "64 connections, 4 KiB", SMALL_FILE, SMALL, 64, loop, ("-n", "640"), _REQUESTS),
        Scenario("parallel", crowd, MEDIUM_FILE, sizes.medium, 200, (), ("-c", "1"), _PARALLEL),
        Scenario("container", f"{crowd}, of a container", PART, sizes.medium, 200, (), ("-c", "1"), _PARALLEL),
        Scenario(
            "sanboot",
            f"1 connection, {sizes.requests:,} ranges of 512 to 8,192 octets, one after the other",
            MEDIUM_FILE,
            sizes.medium,
            1,
            (*reads, "-n", str(sizes.requests)),
            (*reads, "-n", "100"),
            _SEQUENCE,
        ),
    )
    return {scenario.key: scenario for scenario in scenarios}


def _told(size: int) -> str:
    return f"{size // GIB} GiB" if size >= GIB else f"{size // MIB} MiB"


def settle(sizes: Sizes) -> list[str]:
    """The command line of a load that has its answer when pixelboot has decoded the container."""
    return load.words(PART, sizes.medium, 1, "-x", "60")


def knock() -> list[str]:
    """The command line of a load that tries whether a server answers."""
    return load.words(SMALL_FILE, SMALL, 1, "-x", "1")
