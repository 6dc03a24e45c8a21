"""kill -9 of decoders, servers and consoles, at chance moments: nothing wrong is served, nothing promised is lost."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from lab import picture
from lab.process import LabError, wait_until
from pixelboot.cli.choices import InFolder, InServer, Values
from pixelboot.malformed import Malformed
from pixelboot.site import load
from tests.installed.victims import PARTS, Nursery, Reader, Shelf, Victim, at_work, decoders, free_tcp_port, states
from tests.running import PATIENCE, ServerCase, command, get, settings

KILLS = 50
IDS = [f"system-{number}" for number in range(48)]
TICK = 0.002
LONG_ENOUGH = 0.03
"""Seconds after which a decoder that was seen at its work is done, mostly."""


class KillCase(ServerCase):
    """A nursery, and a folder of containers."""

    def setUp(self) -> None:
        super().setUp()
        self.nursery = Nursery(self.folder)
        self.addCleanup(self.nursery.close)
        self.chance = random.Random(self.id())

    def told(self, what: str, counts: object) -> None:
        """Say on standard output what was done, for who wants to know (``pytest -rP``)."""
        sys.stdout.write(f"{self.id().rpartition('.')[2]}: {what}: {counts}\n")


class ServedTests(KillCase):
    """Machines fetch parts while decoders and servers are killed."""

    def setUp(self) -> None:
        """A folder of containers, and a machine that fetches from the port where the server will be."""
        super().setUp()
        self.web = free_tcp_port()
        self.shelf = Shelf(self.state / "containers", IDS)
        self.cache = self.state / "cache"
        self.options = ["--config", settings(self.folder, listen=f"tcp:{self.web}:interface=127.0.0.1")]
        self.site = load(str(self.options[1]), {}, {})
        self.reader = Reader(self.web, self.shelf, seed=1)
        self.addCleanup(self.reader.stop)

    def serve(self) -> Victim:
        """A server; what comes of it is not waited for."""
        return self.nursery.start("twistd", "--nodaemon", "--pidfile=", "pixelboot", *self.options)

    def assert_all_is_well(self, server: Victim) -> None:
        """After a last restart: every part is the one put there last, and nothing else is in the cache."""
        server.kill()
        server.wait()
        self.serve()
        wait_until(self._all_ready, PATIENCE, "every container is ready")
        for id_, version in self.shelf.now.items():
            for name, octets in version.parts().items():
                self.assertEqual(get(self.web, f"/containers/{id_}/{name}"), (200, octets), f"{id_}/{name}")
        self.reader.stop()
        self.assertEqual(self.reader.wrong, [])
        self.assert_whole()

    def _all_ready(self) -> bool:
        with contextlib.suppress(Malformed):
            return states(self.status()) == dict.fromkeys(IDS, "ready")
        return False

    def assert_whole(self) -> None:
        """Nothing that was begun is left in the cache, and what is in its place is whole."""
        self.assertEqual(set(os.listdir(self.cache)), {"index", "findings", "parts"})
        for folder in (self.cache / "parts").iterdir():
            for name in PARTS:
                octets = (folder / name).read_bytes()
                self.assertTrue(self.shelf.is_whole(name, octets), f"{folder}/{name}: {len(octets)} octets")

    def test_decoders(self) -> None:
        """A decoder that is killed at its work is replaced, and what it was at is decoded later."""
        server = self.serve()
        self.reader.start()
        killed = 0
        while killed < KILLS:
            self.shelf.put(IDS)
            while killed < KILLS:
                with contextlib.suppress(LabError):  # none for a while: all are done, or wait for better times
                    wait_until(lambda: bool(at_work(self.cache)), 1.0, "a decoder is at work", TICK)
                if self._is_done():
                    break
                spared = self.chance.random() < 0.1
                self.reader.stopped.wait(0.2 if spared else self.chance.uniform(0.0, LONG_ENOUGH))
                killed += 0 if spared else self._kill_decoders(server)
        log = server.log
        met = log.count("later again: the decoder failed: it was killed by SIGKILL")
        self.told(f"{killed} decoders killed, at their work {met}, fetches", self.reader.counts)
        self.assertGreaterEqual(met, KILLS // 2)
        wait_until(partial(self._has_fetched, KILLS + 1), PATIENCE, "as many parts are fetched as decoders were killed")
        self.assertFalse(server.has_ended(0.0), "the server goes on")
        self.assert_quiet(log)
        self.assert_all_is_well(server)

    def _is_done(self) -> bool:
        """Whether every picture was decoded, or its decoder killed."""
        shown = self.status()["containers"]
        return len(shown) == len(IDS) and all(each["state"] == "ready" or each["reason"] for each in shown)

    def _at_work(self, server: Victim) -> set[int]:
        """The process ids of a server's decoders that are writing into the cache now."""
        return set(decoders(server.pid)) & set(at_work(self.cache))

    def _kill_decoders(self, server: Victim) -> int:
        """Kill those, and return how many these were."""
        pids = self._at_work(server)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def assert_quiet(self, log: str) -> None:
        """Nothing in the log speaks of a mistake in the program."""
        for word in ("Traceback", "Unhandled", "#critical"):
            self.assertNotIn(word, log, log[max(log.find(word), 0) :][:4000])

    def test_servers(self) -> None:
        """A server is killed while it decodes and while settings are changed; the next one starts from what is there.

        Its decoders outlive it by a moment, and the next server's meet them.
        """
        changes = Changes(InServer(self.site), self.chance.random())
        self.reader.start()
        caught: Counter[str] = Counter()
        for kill in range(KILLS):
            waiting = {id_ for id_ in self.shelf.now if not self._is_decoded(id_)}
            if len(waiting) < len(IDS) // 4:  # else there is enough to decode; what is new has to be at rest first
                self.shelf.put(sorted(set(IDS) - waiting))
            server = self.serve()
            if kill % 10 == 9:
                self.assertEqual(changes.compared(self._listing()), [], f"by the server after kill {kill}")
            changes.begin()
            is_met = partial(self._is_busy, server, changes)
            wait_until(is_met, PATIENCE, "a decoder is at work, and a change was confirmed", TICK)
            if kill % 5 == 4:
                fetched = self.reader.counts["whole"]
                wait_until(partial(self._has_fetched, fetched + 3), PATIENCE, "three parts are fetched", TICK)
            self.reader.stopped.wait(self.chance.uniform(0.0, LONG_ENOUGH))
            caught["decoding"] += bool(self._at_work(server))
            caught["changing"] += changes.is_under_way
            server.kill()
            server.wait()
            changes.end()
            self.assertEqual(changes.compared(InFolder(self.site).listing()), [], f"on disk after kill {kill + 1}")
            self.assert_quiet(server.log)
        server = self.serve()
        self.assertEqual(changes.compared(self._listing()), [], "by the last server")
        self.told(f"{KILLS} servers killed, while", dict(caught))
        self.told(f"{changes.confirmed} changes confirmed, fetches", self.reader.counts)
        self.assertGreaterEqual(caught["decoding"], KILLS // 2)
        self.assertGreaterEqual(caught["changing"], KILLS // 2)
        self.assertGreater(self.reader.counts["whole"], KILLS // 2)
        self.assert_all_is_well(server)

    def _is_decoded(self, id_: str) -> bool:
        return (self.cache / "parts" / self.shelf.digests[id_]).exists()

    def _has_fetched(self, number: int) -> bool:
        return self.reader.counts["whole"] >= number

    def _is_busy(self, server: Victim, changes: Changes) -> bool:
        return changes.made and bool(self._at_work(server))

    def _listing(self) -> Values:
        """What the server says of its containers and their settings, as soon as it says anything."""
        found: list[Values] = []

        def asked() -> bool:
            with contextlib.suppress(Malformed):
                found.append(InServer(self.site).listing())
            return bool(found)

        wait_until(asked, PATIENCE, "the server answers", TICK)
        return found[0]


class ConsoleTests(KillCase):
    """Commands that are killed, and no server."""

    def _killed(self, words: Sequence[object], usual: float) -> tuple[int, float]:
        """Run a command and kill it before the time that it `usual`ly takes: its exit status, and that time anew."""
        began_at = time.monotonic()
        console = self.nursery.start("pixelboot", *words)
        ended = console.has_ended(self.chance.uniform(0.0, usual) if usual < PATIENCE else PATIENCE)
        took = time.monotonic() - began_at
        console.kill()
        status = console.wait()
        self.assertIn(status, (0,) if ended else (0, -signal.SIGKILL), console.log)
        return status, min(took, usual) if ended else usual

    def test_pack(self) -> None:
        """What `pixelboot pack` makes is not there, or whole; what it would have replaced is there, or replaced."""
        kernel = self.folder / "kernel"
        kernel.write_bytes(self.chance.randbytes(1 << 20))
        out = self.folder / "out" / "new.rts.png"
        out.parent.mkdir()
        words = ("pack", "--kernel", kernel, "-q", "-o", out)
        usual = self._killed(words, PATIENCE)[1]
        old = picture.light({"kernel": b"old"})
        found: Counter[str] = Counter()
        for kill in itertools.count(1):
            if found["killed"] == KILLS:
                break
            replaced = kill % 2 == 1
            out.unlink(missing_ok=True)
            if replaced:
                out.write_bytes(old)
            status, usual = self._killed([*words, *(["--force"] if replaced else [])], usual)
            if out.exists() and out.read_bytes() != old:
                found["whole"] += 1
                self.assertEqual(command("verify", out)[0], 0, f"kill {kill}: half a picture has the name")
            elif replaced:
                found["old"] += 1
                self.assertEqual(out.read_bytes(), old, f"kill {kill}")
            else:
                found["absent"] += 1
            if status == 0:
                self.assertTrue(out.exists() and out.read_bytes() != old, "it said that it was done")
            found["killed"] += status != 0
        self.told(f"commands that take {usual:.2f} s", dict(found))
        others = {name for name in os.listdir(out.parent) if not name.startswith(".") and name != out.name}
        self.assertEqual(others, set())

    def test_settings(self) -> None:
        """``pixelboot containers`` without a server: what it confirmed is there, and nothing is torn."""
        site = load(str(settings(self.folder)), {}, {})
        (self.state / "containers").mkdir(parents=True)
        words = ("containers", "--state", self.state, "name", "--anyway")
        usual = self._killed((*words, IDS[0], _filled(0)), PATIENCE)[1]
        confirmed = dict.fromkeys(IDS, -1) | {IDS[0]: 0}
        found: Counter[str] = Counter()
        for kill in itertools.count(1):
            if found["killed"] == KILLS:
                break
            of = self.chance.choice(IDS)
            status, usual = self._killed([*words, of, _filled(kill)], usual)
            found["killed"] += status != 0
            said = {each: value["name"] for each, value in InFolder(site).listing()["absent"].items()}
            if status == 0 or said.get(of) == _filled(kill):
                found["made"] += 1
                confirmed[of] = kill
            wanted = {each: _filled(number) for each, number in confirmed.items() if number >= 0}
            self.assertEqual(said, wanted, f"kill {kill}")
        self.told(f"commands that take {usual:.2f} s", dict(found))


class Changes:
    """Somebody who changes settings as fast as the server confirms them, each time all of them to one number."""

    def __init__(self, place: InServer, seed: float) -> None:
        """They are changed in `place`."""
        self.confirmed = 0
        """How many changes the server has confirmed."""
        self.made = False
        """Whether it has confirmed one since `begin`."""
        self.is_under_way = False
        """Whether it is asked for one now."""
        self._place = place
        self._chance = random.Random(seed)
        self._number = 0
        self._known: dict[str, tuple[int, int]] = {}
        self._default = ("", "")
        self._thread: threading.Thread | None = None
        self._ending = False

    def begin(self) -> None:
        """Change, from when the server answers until it is gone."""
        self.made = False
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The server is gone: wait until that is noticed."""
        assert self._thread is not None
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        wait_until(self._answers, PATIENCE, "the server answers", TICK)
        with contextlib.suppress(Malformed):  # the server is gone
            while True:
                self._number += 1
                self.is_under_way = True
                if self._chance.random() < 0.2:
                    self._choose(self._chance.choice(IDS))
                else:
                    self._change(self._chance.choice(IDS), self._number)
                self.is_under_way = False
                self.confirmed += 1
                self.made = True
        self.is_under_way = False

    def _answers(self) -> bool:
        """Whether the server is there."""
        with contextlib.suppress(Malformed):
            self._place.choose(self._default[1], anyway=True)
            self._default = self._default[1], self._default[1]
            return True
        return False

    def _change(self, of: str, number: int) -> None:
        self._known[of] = self._known.get(of, (0, 0))[0], number
        self._place.change(of, _all(number), anyway=True)
        self._known[of] = number, number

    def _choose(self, of: str) -> None:
        self._default = self._default[0], of
        self._place.choose(of, anyway=True)
        self._default = of, of

    def compared(self, listing: Values) -> list[str]:
        """What a new server knows and should not, or does not know; from then on that holds."""
        wrong = []
        found = {each["id"]: each["settings"] for each in listing["containers"]} | listing["absent"]
        for of, numbers in self._known.items():
            number = found.get(of, {}).get("order") or 0
            if number not in numbers or (number and found[of] != _all(number)):
                wrong.append(f"{of}: one of {numbers} was expected: {found.get(of)}")
            self._known[of] = number, number
        chosen = listing["default"]["choice"]
        if chosen not in self._default:
            wrong.append(f"default: one of {self._default} was expected: {chosen}")
        self._default = chosen, chosen
        return wrong


def _all(number: int) -> dict[str, Any]:
    """Settings that all say the same number."""
    filled = _filled(number)
    return {
        "enabled": number % 2 == 0,
        "name": filled,
        "description": filled * 3,
        "order": number,
        "timeout": float(number % 3600),
        "arguments": f"number={number}",
    }


def _filled(number: int) -> str:
    """A text of 100 characters that says this number all over."""
    return (f"{number}-" * 100)[:100]
