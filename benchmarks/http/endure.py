"""What pixelboot alone has to stand: machines that ask for addresses while much is downloaded.

200 connections read a thousand octets a second each, 64 ask for one range after the other, and one downloads a large
file that the kernel has not in memory, again and again: who sends it waits for the disk.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import offers
from benchmarks.http import files, load
from benchmarks.http.scenarios import LARGE_FILE, RANGE
from benchmarks.http.servers import GIVING
from benchmarks.http.stand import INTERFACE, LONGEST, Stand
from benchmarks.usage import Others
from lab.process import LabError, Process, wait_until

SLOW, SPEED = 200, 1000
"""Connections that read slowly, and how many octets a second each."""

CLIENTS = 64
"""Connections that ask for ranges."""

RATE = 200.0
"""DISCOVERs a second."""

_COLD_FILE = f"{LARGE_FILE}-cold"
_LOOK = 0.02
"""Seconds between two looks whether a download has ended."""

_BEFORE = 2.0
"""Seconds more that the ranges are asked for than DISCOVERs are sent: none is to miss them."""


class _Downloads:
    """A download of a file from the disk, one after the other, as long as the block lasts."""

    def __init__(self, stand: Stand, file: Path) -> None:
        self._stand = stand
        self._file = file
        self._process: Process | None = None
        self.taken = 0.0
        """Octets that have come."""
        self.failed = self.wrong = 0.0

    def keep_on(self) -> None:
        """Begin the next if there is none."""
        if self._process is not None and not self._process.has_ended:
            return
        self._note()
        files.chill(self._file)
        self._process = self._stand.start(load.words(_COLD_FILE, self._stand.sizes.large, 1))

    def end(self) -> None:
        """End the one that is on its way."""
        if self._process is not None:
            self._process.stop()
        self._note()

    def _note(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait(LONGEST)
            found = load.said(process.lines[-1].text)
            self.taken += found["taken"]
            self.failed += found["failed"]
            self.wrong += found["wrong"]


def offered(stand: Stand) -> dict[str, float]:
    """How long an OFFER takes (ms) with nothing beside (``idle_p50`` …) and with all the downloads (``p50`` …).

    ``slow`` and ``cold`` are MB/s of those that read slowly and of the large file, ``ranges`` so many a second.

    :raises lab.process.LabError: if the server or a load fails.
    """
    seconds, cold = max(4.0, stand.sizes.seconds), stand.files / _COLD_FILE[1:]
    if not cold.exists():
        files.make(cold, stand.sizes.large)
    slow = load.words(LARGE_FILE, stand.sizes.large, SLOW, "-k", str(SPEED), "-x", str(LONGEST))
    ranges = ("-r", str(RANGE), "-t", str(seconds + _BEFORE))
    asking = load.words(LARGE_FILE, stand.sizes.large, CLIENTS, *ranges)
    with stand.running(GIVING) as running:
        _offers(stand, 1.0, None)
        others = Others(running)
        idle = _offers(stand, seconds, None)
        with stand.start(slow) as slowly:
            slowly.wait_for(r"^open \d+$", LONGEST)
            downloads = _Downloads(stand, cold)
            with stand.start(asking) as asker:
                try:
                    busy = _offers(stand, seconds, downloads)
                finally:
                    downloads.end()
                asker.wait(LONGEST)
                asked = load.found(asker.lines[-1].text)
            slowly.stop()
            read = load.said(slowly.lines[-1].text)
            if read["open"] != SLOW:
                raise LabError(f"{SLOW - read['open']:.0f} of those that read slowly have lost their connections")
        beside = others.share()
    return {
        **{key: busy[key] * 1e3 for key in ("p50", "p99", "greatest")},
        **{f"idle_{key}": idle[key] * 1e3 for key in ("p50", "p99", "greatest")},
        "lost": busy["lost"],
        "sent": busy["sent"],
        "ranges": asked["good"] / asked["seconds"],
        "cold": downloads.taken / seconds / 1e6,
        "slow": read["taken"] / read["seconds"] / 1e6,
        "beside": beside,
        "failed": asked["failed"] + read["failed"] + downloads.failed,
        "wrong": asked["wrong"] + read["wrong"] + downloads.wrong,
    }


def _offers(stand: Stand, seconds: float, downloads: _Downloads | None) -> Mapping[str, float]:
    """What a client of DHCP found out, while the downloads go on, if there are any.

    It is on the load's processor, and comes before the load there: it is the server's time that is asked for.
    """
    words = ("--generate", INTERFACE, "--seconds", str(seconds), "--rate", str(RATE))
    generator = stand.start(["nice", "-n", "-20", sys.executable, "-m", "benchmarks.offers", *words])
    with generator:

        def has_ended() -> bool:
            if downloads is not None:
                downloads.keep_on()
            return generator.has_ended

        wait_until(has_ended, seconds + 60.0, "the client ends", _LOOK)
        if generator.wait(1.0) != 0:
            raise LabError(f"the client failed:\n{generator.tail()}")
    return offers.found(generator)


FOUND = {"offers": offered}
"""By the key of the scenario, as it is named on the command line."""
