"""The file of what was chosen for machines, and the store over it: real files, real threads, real damage."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.boot.hosts import NOTHING, Boot, HostBoot, Hosts
from pixelboot.boot.seam import ChoiceFailed
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.state.hosts import FILE_NAME, HostsFile, SqliteHosts
from pixelboot.state.lock import StateUnusable
from pixelboot.state.outcomes import ChoicesMended
from tests.test_house import ROOT

reactor = cast("Any", global_reactor)

MAC, OTHER = "02:aa:00:00:00:01", "02:aa:00:00:00:02"
BOARD = "00112233-4455-6677-8899-aabbccddeeff"
SETTLED = {MAC: HostBoot("file", name="node1")}

VICTIM = """
import sys
from pixelboot.state.hosts import HostsFile
file = HostsFile.open(sys.argv[1], {})
for number in range(100_000):
    key = f"02:aa:00:00:{number // 256:02x}:{number % 256:02x}"
    token = file.change(key, {"boot": "b", "once": "a"})[1].token
    print("chosen", key, token, flush=True)
    file.take([token])
    print("taken", key, token, flush=True)
"""


def folder_of(test: SynchronousTestCase) -> Path:
    """An empty folder."""
    folder = Path(test.mktemp()).absolute()
    folder.mkdir()
    return folder


def on_disk(path: Path) -> dict[str, HostBoot]:
    """What a server that starts now would read."""
    return dict(HostsFile.open(str(path), {}).hosts.chosen)


class FileTests(SynchronousTestCase):
    """`HostsFile`."""

    def setUp(self) -> None:
        """A file in a folder."""
        self.path = folder_of(self) / FILE_NAME
        self.file = HostsFile.open(str(self.path), SETTLED)

    def test_everything_survives(self) -> None:
        """Nobody else may read it, and nothing lies beside it."""
        self.assertEqual(self.file.hosts, Hosts({}, SETTLED))
        before, after = self.file.change(MAC.upper(), {"boot": "menu", "once": "debian", "loader": "x" * 127})
        self.assertEqual((before, len(after.token)), (NOTHING, 16))
        self.file.change(BOARD, {"boot": "local"})
        self.file.change(OTHER, {"once": "a"})
        self.assertEqual(self.file.reset(OTHER)[1], NOTHING)
        expected = {MAC: HostBoot("menu", "debian", "x" * 127, after.token), BOARD: HostBoot("local")}
        self.assertEqual(on_disk(self.path), expected)
        self.assertEqual(dict(self.file.hosts.chosen), expected)
        self.assertEqual(dict(self.file.hosts.settled), SETTLED)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(os.listdir(self.path.parent), [FILE_NAME])

    def test_take(self) -> None:
        """Each token is of one time: what was said again since has another."""
        first = self.file.change(MAC, {"boot": "b", "once": "a"})[1].token
        second = self.file.change(MAC, {"once": "a"})[1].token
        other = self.file.change(OTHER, {"once": "c"})[1].token
        self.assertNotEqual(first, second)
        before = self.file.hosts
        self.assertEqual(self.file.take([first, "", "x"]), {})
        self.assertIs(self.file.hosts, before, "nothing was written")
        self.assertEqual(self.file.take([second, other, first]), {second: MAC, other: OTHER})
        self.assertEqual(on_disk(self.path), {MAC: HostBoot("b")})
        self.assertEqual(self.file.take([second]), {})

    def test_refused(self) -> None:
        before = self.file.hosts
        for key, said in (("node1", {"boot": "a"}), (MAC, {"boot": "a b"}), (MAC, {"token": "x"})):
            self.assertRaises(Malformed, self.file.change, key, said)
        self.assertRaises(Malformed, self.file.reset, "")
        self.assertIs(self.file.hosts, before)

    def test_the_file_is_lost(self) -> None:
        """Deleted, emptied, replaced or damaged: the next change writes all of memory again, and nothing is deleted."""
        self.file.change(MAC, {"boot": "b"})
        expected = {MAC: HostBoot("b")}
        losses: tuple[tuple[str, Callable[[], object], str], ...] = (
            ("deleted", self.path.unlink, "did not hold what was left in it"),
            ("emptied", lambda: os.truncate(self.path, 0), "did not hold what was left in it"),
            ("noise", lambda: self.path.write_bytes(b"noise" * 1000), "set aside as"),
            ("cut", lambda: os.truncate(self.path, 4096), "set aside as"),
        )
        for number, (what, lose, told) in enumerate(losses):
            lose()
            expected[f"02:00:00:00:00:0{number}"] = HostBoot("b")
            self.file.change(f"02:00:00:00:00:0{number}", {"boot": "b"})
            self.assertEqual(on_disk(self.path), expected, what)
            self.assertIn(told, self.file.mended, what)
        self.assertEqual(len([name for name in os.listdir(self.path.parent) if ".damaged-" in name]), 2)

    def test_cannot_be_opened(self) -> None:
        """What is no file of ours is refused at the start, with one line, and left as it is."""
        for octets, why in ((b"noise" * 1000, "is damaged"), (b"", "")):
            self.path.write_bytes(octets)
            if why:
                error = self.assertRaises(StateUnusable, HostsFile.open, str(self.path), {})
                self.assertIn(f"{self.path} {why}", str(error))
                self.assertIn("to start with nothing chosen for any machine", str(error))
                self.assertEqual(self.path.read_bytes(), octets)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript("PRAGMA application_id = 0x50584243; CREATE TABLE container (id)")
        error = self.assertRaises(StateUnusable, HostsFile.open, str(self.path), {})
        self.assertIn("is a database of another program", str(error))

    def test_killed(self) -> None:
        """At any moment: what was told to be chosen is there; what was told to be taken does not come again."""
        for lines in (1, 4, 7):
            path = folder_of(self) / FILE_NAME
            victim = Popen([sys.executable, "-c", VICTIM, str(path)], stdout=PIPE, text=True, cwd=ROOT)
            assert victim.stdout is not None
            with victim, victim.stdout:
                told = [victim.stdout.readline().split() for _ in range(lines)]
                victim.send_signal(signal.SIGKILL)
                told += [line.split() for line in victim.stdout if line.endswith("\n")]
            found = on_disk(path)
            last = {key: (what, token) for what, key, token in told}
            for key, (what, token) in list(last.items())[:-1]:
                self.assertEqual((what, found[key]), ("taken", HostBoot("b")), token)
            key, (what, token) = list(last.items())[-1]
            both = (HostBoot("b", "a", "", token), HostBoot("b"))
            self.assertIn(found[key], both if what == "chosen" else both[1:])


class StoreTests(TestCase):
    """`SqliteHosts`."""

    timeout = 60

    def setUp(self) -> None:
        """A store."""
        self.path = folder_of(self) / FILE_NAME
        self.outcomes: list[Outcome] = []
        self.file = HostsFile.open(str(self.path), SETTLED)
        self.store = SqliteHosts(self.file, reactor, self.outcomes.append)
        self.store.startService()

    async def test_in_order(self) -> None:
        """What is told is on disk; unless something changes, what holds is the same object."""
        before = await self.store.hosts()
        changing = Deferred.fromCoroutine(self.store.change(MAC, {"boot": "a"}))
        self.assertIs(await self.store.hosts(), before)
        await gatherResults([changing, Deferred.fromCoroutine(self.store.change(MAC, {"boot": "b"}))])
        after = await self.store.hosts()
        self.assertEqual((after.boot([MAC]), on_disk(self.path)), (Boot("b", "chosen"), {MAC: HostBoot("b")}))
        self.assertIs(await self.store.hosts(), after)
        self.assertEqual(await self.store.reset(MAC), (HostBoot("b"), NOTHING))
        self.assertEqual((await self.store.hosts()).boot([MAC]), Boot("file", "settings"))

    async def test_many_at_once(self) -> None:
        """A rack that comes for what it was to boot once is written down in a few changes; each hears of its own."""
        keys = [f"02:aa:00:00:01:{number:02x}" for number in range(40)]
        for key in keys:
            self.file.change(key, {"once": "debian"})
        tokens = [self.file.hosts.chosen[key].token for key in keys]
        become, changes = self.file._file.become, list[int]()

        def counted(rows: Any) -> None:
            changes.append(len(rows[0]))
            become(rows)

        self.patch(self.file._file, "become", counted)
        taken = await gatherResults([Deferred.fromCoroutine(self.store.take(token)) for token in [*tokens, tokens[0]]])
        self.assertEqual(taken, [*keys, None])
        self.assertLess(len(changes), 5)
        self.assertEqual(on_disk(self.path), {})
        self.assertIsNone(await self.store.take(tokens[0]))

    async def test_cannot_be_written(self) -> None:
        """It is not over then, for none of those who came; afterwards it can be."""
        one = (await self.store.change(MAC, {"once": "a"}))[1].token
        two = (await self.store.change(OTHER, {"once": "a"}))[1].token
        self.path.unlink()
        self.path.mkdir()
        for attempt in [Deferred.fromCoroutine(self.store.take(token)) for token in (one, two)]:
            await self.assertFailure(attempt, ChoiceFailed)
        self.assertEqual((await self.store.hosts()).once(two), (OTHER, "a"))
        self.path.rmdir()
        self.assertEqual(await self.store.take(one), MAC)
        self.assertEqual((await self.store.hosts()).once(two), (OTHER, "a"), "its machine went without it")
        (told,) = self.outcomes
        assert isinstance(told, ChoicesMended)
        self.assertIn("all of it (what was chosen for machines) was written again", told.summary())

    async def test_stop(self) -> None:
        """What was begun is finished; nothing more is begun."""
        changing = Deferred.fromCoroutine(self.store.change(MAC, {"boot": "a"}))
        await self.store.stopService()
        self.assertEqual((await changing)[1], HostBoot("a"))
        await self.assertFailure(Deferred.fromCoroutine(self.store.take("x")), ChoiceFailed)
