"""The file of the containers' settings, and the store over it: real files, real threads, real damage."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.boot.seam import PLAIN, ChoiceFailed, Choices, ContainerSettings
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.state.containers import FILE_NAME, ChoicesFile, SqliteChoices
from pixelboot.state.lock import StateUnusable
from pixelboot.state.outcomes import ChoicesMended

reactor = cast("Any", global_reactor)

EVERYTHING = {
    "enabled": False,
    "name": "Größer",
    "description": "d" * 300,
    "order": -1_000_000,
    "timeout": 3600,
    "arguments": "quiet " + "x" * 2041,
}
WHOLE = ContainerSettings(False, "Größer", "d" * 300, -1_000_000, 3600.0, "quiet " + "x" * 2041)


def folder_of(test: SynchronousTestCase) -> Path:
    """An empty folder."""
    folder = Path(test.mktemp()).absolute()
    folder.mkdir()
    return folder


def on_disk(path: Path) -> Choices:
    """What a server that starts now would read."""
    return ChoicesFile.open(str(path)).choices


class FileTests(SynchronousTestCase):
    """`ChoicesFile`."""

    def setUp(self) -> None:
        """A folder for it."""
        self.path = folder_of(self) / FILE_NAME

    def opened(self) -> ChoicesFile:
        """The file."""
        return ChoicesFile.open(str(self.path))

    def test_everything_survives(self) -> None:
        """Every setting, the default, and what was forgotten; nobody else may read it, and nothing lies beside it."""
        file = self.opened()
        self.assertEqual(file.choices, Choices())
        self.assertEqual(file.change("debian", EVERYTHING), (PLAIN, WHOLE))
        self.assertEqual(file.change("gone", {"timeout": 0, "name": "x"})[1], ContainerSettings(name="x", timeout=0.0))
        self.assertEqual(file.choose_default("debian"), ("", "debian"))
        self.assertEqual(file.reset("gone"), (ContainerSettings(name="x", timeout=0.0), PLAIN))
        expected = Choices("debian", {"debian": WHOLE})
        self.assertEqual((file.choices.default, dict(file.choices.containers)), ("debian", {"debian": WHOLE}))
        self.assertEqual(on_disk(self.path), expected)
        self.assertEqual(file.choose_default(""), ("debian", ""))
        self.assertEqual(on_disk(self.path), Choices("", {"debian": WHOLE}))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(os.listdir(self.path.parent), [FILE_NAME])
        self.assertEqual(file.mended, "")

    def test_refused(self) -> None:
        """What cannot be changes nothing, neither in memory nor on disk."""
        file = self.opened()
        file.change("debian", {"order": 1})
        before, octets = file.choices, self.path.read_bytes()
        attempts: tuple[Callable[[], object], ...] = (
            lambda: file.change("debian", {"order": 2, "name": 5}),
            lambda: file.change("a/b", {"order": 2}),
            lambda: file.reset("a b"),
            lambda: file.choose_default("a b"),
        )
        for attempt in attempts:
            self.assertRaises(Malformed, attempt)
        self.assertIs(file.choices, before)
        self.assertEqual(self.path.read_bytes(), octets)

    def test_the_file_is_lost(self) -> None:
        """Deleted, emptied, replaced by an older copy or by noise: the next change writes all of memory again."""
        file = self.opened()
        file.change("old", {"order": 1})
        old = self.path.read_bytes()
        foreign = self.path.parent / "foreign"
        with closing(sqlite3.connect(foreign)) as connection:
            connection.executescript("CREATE TABLE container (id)")
        losses: tuple[tuple[str, Callable[[], object], str], ...] = (
            ("deleted", self.path.unlink, "did not hold what was left in it"),
            ("emptied", lambda: os.truncate(self.path, 0), "did not hold what was left in it"),
            ("an older copy", lambda: self.path.write_bytes(old), "did not hold what was left in it"),
            ("noise", lambda: self.path.write_bytes(b"noise" * 1000), "set aside as"),
            ("cut", lambda: os.truncate(self.path, 4096), "set aside as"),
            ("another program's", lambda: shutil.copy(foreign, self.path), "of another program: set aside as"),
            ("with another's log", self.lost_with_log, "did not hold what was left in it"),
        )
        expected = {"old": ContainerSettings(order=1)}
        for number, (what, lose, told) in enumerate(losses):
            lose()
            file.change(f"new-{number}", {"order": number})
            expected[f"new-{number}"] = ContainerSettings(order=number)
            self.assertEqual(on_disk(self.path), Choices("", expected), what)
            self.assertIn(told, file.mended, what)
            file.choose_default("")
            self.assertEqual(file.mended, "", what)
        kept = {name for name in os.listdir(self.path.parent) if ".damaged-" in name}
        self.assertEqual(kept, {f"{FILE_NAME}.damaged-{n}" for n in (1, 2, 3)}, "nothing is deleted")
        self.assertEqual((self.path.parent / f"{FILE_NAME}.damaged-1").read_bytes(), b"noise" * 1000)

    def lost_with_log(self) -> None:
        """The file is gone, and beside its place there lies a log of who knows what."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("UPDATE container SET name = 'wrong'")
            log = Path(f"{self.path}-wal").read_bytes()
        self.path.unlink()
        Path(f"{self.path}-wal").write_bytes(log)

    def test_no_room(self) -> None:
        """A change that cannot be written says why, and changes nothing; when there is room, the next one can be."""
        file = self.opened()
        file.change("a", {"order": 1})
        choices, soft = file.choices, resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, soft[1]))
        try:
            error = self.assertRaises(ChoiceFailed, file.change, "b", {"order": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, soft)
        self.assertIn(str(self.path), str(error))
        self.assertTrue(str(error).isprintable())
        self.assertIs(file.choices, choices)
        self.assertEqual(on_disk(self.path), Choices("", {"a": ContainerSettings(order=1)}))
        file.change("b", {"order": 2})
        self.assertEqual(sorted(on_disk(self.path).containers), ["a", "b"])

    def test_cannot_be_opened(self) -> None:
        """What is no file of ours is refused at the start, with one line that names it, and left as it is."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript("PRAGMA application_id = 5; PRAGMA user_version = 1;")
        other = self.path.read_bytes()
        self.path.unlink()
        self.opened().change("a", {"order": 1})
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript("PRAGMA user_version = 999;")
        for octets, why in (
            (other, "is a database of another program"),
            (self.path.read_bytes(), "was written by a newer pixelboot"),
            (b"noise" * 1000, "is damaged (file is not a database): put back a copy, or move it away"),
        ):
            self.path.write_bytes(octets)
            error = self.assertRaises(StateUnusable, self.opened)
            self.assertIn(f"{self.path} {why}", str(error))
            self.assertEqual(len(str(error).splitlines()), 1)
            self.assertEqual(self.path.read_bytes(), octets, why)
        self.path.unlink()
        os.mkfifo(self.path)
        self.assertIn(f"{self.path} is not a plain file", str(self.assertRaises(StateUnusable, self.opened)))

    def test_power_cut(self) -> None:
        """What was committed is in the log when the process ends before it was written back, and is read from there."""
        file = self.opened()
        file.change("a", {"order": 1})
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("UPDATE container SET position = 2")
            files = self.path.read_bytes(), Path(f"{self.path}-wal").read_bytes()
        self.path.write_bytes(files[0])
        Path(f"{self.path}-wal").write_bytes(files[1] + b"half a frame")
        self.assertEqual(on_disk(self.path).of("a").order, 2)


class Threads:
    """A reactor with one thread, which begins when it is told, and then is faster than the reactor."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], object]] = []
        self._running = False

    def getThreadPool(self) -> Threads:
        """It is both."""
        return self

    def callInThreadWithCallback(self, done: Callable[..., object], work: Callable[..., Any], *a: Any) -> None:
        """Do it, and tell whether it went well, and what it came to."""

        def run() -> None:
            try:
                result = True, work(*a)
            except Malformed:
                result = False, Failure()
            done(*result)

        if self._running:
            run()
        else:
            self._waiting.append(run)

    def callFromThread(self, call: Callable[..., object], *a: Any) -> None:
        """The reactor has its turn."""
        call(*a)

    def run(self) -> None:
        """Begin."""
        self._running = True
        for each in self._waiting:
            each()


class StoreTests(TestCase):
    """`SqliteChoices`."""

    timeout = 60

    def setUp(self) -> None:
        """A store."""
        self.path = folder_of(self) / FILE_NAME
        self.outcomes: list[Outcome] = []
        self.store = SqliteChoices(ChoicesFile.open(str(self.path)), reactor, self.outcomes.append)
        self.store.startService()

    async def test_in_order(self) -> None:
        """Changes asked for at once are made one after the other; what is told afterwards is on disk."""
        asked = [
            Deferred.fromCoroutine(self.store.change("a", {"order": number, "name": str(number)}))
            for number in range(20)
        ]
        asked.append(Deferred.fromCoroutine(self.store.change("a", {"name": None})))
        told = await gatherResults(asked)
        self.assertEqual([after.order for _, after in told], [*range(20), 19])
        self.assertEqual([before.order for before, _ in told], [None, *range(20)])
        self.assertEqual(on_disk(self.path), Choices("", {"a": ContainerSettings(order=19)}))

    async def test_memory_follows_the_disk(self) -> None:
        """What is asked for is not so before it is durable; unless something changes, choices are the same object."""
        before = await self.store.choices()
        changing = Deferred.fromCoroutine(self.store.choose_default("a"))
        self.assertIs(await self.store.choices(), before)
        await changing
        after = await self.store.choices()
        self.assertEqual(after.default, "a")
        self.assertIs(await self.store.choices(), after)

    async def test_errors(self) -> None:
        """What is refused, or cannot be written, is told to who asked, and stops nobody else."""
        refused = Deferred.fromCoroutine(self.store.change("a", {"order": "x"}))
        good = Deferred.fromCoroutine(self.store.change("a", {"order": 5}))
        await self.assertFailure(refused, Malformed)
        await good
        for make in (os.mkdir, os.mkfifo):
            self.path.unlink(missing_ok=True)
            make(self.path)
            await self.assertFailure(Deferred.fromCoroutine(self.store.reset("a")), ChoiceFailed)
            if self.path.is_dir():
                self.path.rmdir()
        self.assertEqual((await self.store.choices()).of("a").order, 5)
        self.assertEqual(self.outcomes, [])

    async def test_mended(self) -> None:
        """That somebody else changed the file is told once."""
        await self.store.change("a", {"order": 5})
        self.path.unlink()
        await self.store.change("b", {"order": 6})
        await self.store.change("b", {"order": 7})
        (told,) = self.outcomes
        assert isinstance(told, ChoicesMended)
        self.assertIn(f"{self.path} did not hold what was left in it; all of it (settings", told.summary())

    async def test_mended_is_told_of_the_change_that_mended(self) -> None:
        """Not of one that is made right after it, nor again of one that is refused."""
        threads = Threads()
        file = ChoicesFile.open(str(self.path))
        file.change("a", {"order": 4})
        store = SqliteChoices(file, threads, self.outcomes.append)
        first = Deferred.fromCoroutine(store.change("a", {"order": 5}))
        second = Deferred.fromCoroutine(store.change("a", {"order": 6}))
        self.path.unlink()
        threads.run()
        await gatherResults([first, second])
        self.assertEqual(len(self.outcomes), 1)
        self.path.unlink()
        await store.change("a", {"order": 7})
        await self.assertFailure(Deferred.fromCoroutine(store.change("a", {"order": "x"})), Malformed)
        self.assertEqual(len(self.outcomes), 2)

    async def test_nobody_waits(self) -> None:
        """Who gives up waiting stops neither the change nor the next one."""
        changing = Deferred.fromCoroutine(self.store.change("a", {"order": 5}))
        changing.cancel()
        await self.assertFailure(changing, CancelledError)
        await self.store.change("b", {"order": 6})
        self.assertEqual(sorted(on_disk(self.path).containers), ["a", "b"])

    async def test_stop(self) -> None:
        """The service has stopped when the last change is on disk; after that none is made."""
        changing = Deferred.fromCoroutine(self.store.change("a", {"order": 5}))
        await self.store.stopService()
        self.assertEqual(on_disk(self.path).of("a").order, 5)
        await changing
        error = await self.assertFailure(Deferred.fromCoroutine(self.store.reset("a")), ChoiceFailed)
        self.assertEqual(str(error), "the server is stopping")
