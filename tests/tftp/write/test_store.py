"""Tests of `pixelboot.tftp.write.store`, on a disk."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.negotiate import Refusal
from pixelboot.tftp.settings import WriteSettings
from pixelboot.tftp.write.file import CLIENT, HIDDEN
from pixelboot.tftp.write.store import Store, Writing

ONE, OTHER = "10.77.0.1", "10.77.0.2"


class Case(SynchronousTestCase):
    """A root with a folder ``dumps``."""

    def setUp(self) -> None:
        """Make the folders."""
        self.root = Path(self.mktemp()).absolute()
        self.dumps = self.root / "dumps"
        self.dumps.mkdir(parents=True)
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def tearDown(self) -> None:
        """Nothing is left open, and nothing half done."""
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.descriptors)
        self.assertEqual([name for name in os.listdir(self.dumps) if name.startswith(HIDDEN)], [])

    def store(self, *, overwrite: bool = False, largest: int = 1000, quota: int = 2000, files: int = 3) -> Store:
        """A store with the folder ``dumps``."""
        area = WriteSettings(folder="dumps", largest=largest, quota=quota, files=files, overwrite=overwrite, free=0)
        return Store(str(self.root), [area])

    def put(self, store: Store, name: str, octets: bytes, client: str = ONE, size: int | None = None) -> None:
        """Leave a whole file."""
        writing = store.begin(name, client, size)
        try:
            writing.write(octets)
            writing.finish()
        finally:
            writing.discard()

    def begun(self, store: Store, name: str, client: str = ONE, size: int | None = None) -> Writing:
        """A file that is discarded at the end."""
        writing = store.begin(name, client, size)
        self.addCleanup(writing.discard)
        return writing

    def assert_refused(
        self, code: int, words: str, store: Store, name: str, octets: bytes = b"x", **said: object
    ) -> None:
        """It ends in an ERROR."""
        with self.assertRaises(Refusal) as caught:
            self.put(store, name, octets, **said)  # type: ignore[arg-type]
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        self.assertIn(words, caught.exception.message)


class StoreTests(Case):
    """Files that are left."""

    def test_t37_visible_when_complete(self) -> None:
        """Not before, however it ends; and then with everything in it, and not for everybody."""
        for named in (False, True):
            if named:
                self.patch(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT)  # Which no system takes: EINVAL.
            store = self.store(quota=10_000)
            writing = store.begin("dumps/core", ONE, 6)
            self.assertEqual((writing.write(b"abc"), writing.write(b"def")), (3, 6))
            self.assertEqual([name for name in os.listdir(self.dumps) if not name.startswith(".")], [])
            self.assertEqual(len(os.listdir(self.dumps)), int(named))
            writing.finish()
            core = self.dumps / "core"
            self.assertEqual(
                (core.read_bytes(), core.stat().st_mode & 0o777, core.stat().st_nlink), (b"abcdef", 0o640, 1)
            )
            given_up = store.begin("dumps/other", ONE, None)
            given_up.write(b"x")
            given_up.discard()
            given_up.discard()
            self.assertEqual(os.listdir(self.dumps), ["core"])
            core.unlink()

    def test_t37_new_names_only(self) -> None:
        """What has the name stays as it is, whatever it is; also what comes while a file is being written."""
        store = self.store()
        (self.dumps / "file").write_bytes(b"old")
        os.mkfifo(self.dumps / "fifo")
        (self.dumps / "link").symlink_to(self.root / "elsewhere")
        (self.dumps / "folder").mkdir()
        for name in ("file", "fifo", "link", "folder"):
            self.assert_refused(6, "a file of this name already (tftp.write.overwrite)", store, f"dumps/{name}")
        writing = self.begun(store, "dumps/new")
        writing.write(b"mine")
        (self.dumps / "new").write_bytes(b"theirs")
        self.assertRaises(Refusal, writing.finish)
        self.assertEqual(((self.dumps / "file").read_bytes(), (self.dumps / "new").read_bytes()), (b"old", b"theirs"))
        self.assertEqual(sorted(os.listdir(self.root)), ["dumps"])

    def test_t37_overwriting(self) -> None:
        """Where it is allowed a file takes the place of another at once; of a link, a FIFO or a folder it does not."""
        for named in (False, True):
            if named:
                self.patch(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT)
            store = self.store(overwrite=True)
            (self.dumps / "config").write_bytes(b"old")
            (self.root / "outside").write_bytes(b"outside")
            (self.dumps / "link").unlink(missing_ok=True)
            (self.dumps / "link").symlink_to("../outside")
            for octets in (b"first", b"second" * 100, b"third" * 100):
                self.put(store, "dumps/config", octets)
                self.assertEqual((self.dumps / "config").read_bytes(), octets)
            self.assert_refused(2, "not a regular file", store, "dumps/link")
            self.assertEqual((self.root / "outside").read_bytes(), b"outside")

    def test_t35_t37_names(self) -> None:
        """A name in the folder, and in no other, neither above nor below nor beside nor hidden."""
        store = self.store()
        (self.dumps / "inner").mkdir()
        for name in (
            *("", "core", "/dumps", "dumps/", "DUMPS/core", "dumps/inner/core", "dumps/.hidden", ".dumps/core"),
            *("dumps/../core", "../core", "dumps/..", "dumps/a\nb", "dumps/\ud800", "dumps/" + "x" * 256),
        ):
            self.assert_refused(2, "", store, name)
        self.assertEqual(sorted(os.listdir(self.dumps)), ["inner"])
        self.put(store, "\\dumps//core", b"x")
        self.assertEqual(sorted(os.listdir(self.dumps)), ["core", "inner"])

    def test_t37_two_writers(self) -> None:
        """The second is refused as long as the first writes; afterwards its name is there, or free."""
        store = self.store()
        first = store.begin("dumps/core", ONE, None)
        first.write(b"first")
        self.assert_refused(6, "another machine is writing", store, "dumps/core", client=OTHER)
        first.discard()
        self.put(store, "dumps/core", b"second", client=OTHER)
        first.discard()
        self.assertEqual((self.dumps / "core").read_bytes(), b"second")

    def test_t37_begun_anew(self) -> None:
        """A machine that starts again may write at once; what it began before is neither completed nor counted."""
        store = self.store(files=1, quota=1000)
        first = self.begun(store, "dumps/core", size=900)
        first.write(b"first")
        self.put(store, "dumps/core", b"x" * 900, size=900)
        self.assertRaises(Refusal, first.write, b"x")
        self.assertRaises(Refusal, first.finish)
        self.assertEqual((self.dumps / "core").read_bytes(), b"x" * 900)
        self.assert_refused(6, "already", store, "dumps/core")
        self.assertEqual((store._names, store._accounts), ({}, {}))

    def test_t37_two_of_one_client_end_together(self) -> None:
        """One is complete, and before it is over the client's other one ends."""
        store = self.store()
        first, second = store.begin("dumps/a", ONE, None), store.begin("dumps/b", ONE, None)
        first.write(b"one")
        second.write(b"two")
        store.complete(first)
        second.discard()
        first.discard()
        self.put(store, "dumps/c", b"three")
        self.assertEqual(sorted(os.listdir(self.dumps)), ["a", "c"])

    def test_t37_not_wanted_any_more(self) -> None:
        """Who gives up while everything is written out leaves nothing."""
        writing = self.begun(self.store(), "dumps/core")
        writing.write(b"x")
        self.assertTrue(writing.give_up())
        self.assertRaises(Refusal, writing.finish)
        self.assertEqual(os.listdir(self.dumps), [])

    def test_t37_too_late_to_give_up(self) -> None:
        """Before the name is given it can be; from then on not."""
        late: list[bool] = []
        writing = self.begun(self.store(), "dumps/core")
        writing.write(b"x")
        appear = writing.file.appear

        def appearing(name: str, *, overwrite: bool) -> None:
            late.append(writing.give_up())
            appear(name, overwrite=overwrite)

        self.patch(writing.file, "appear", appearing)
        writing.finish()
        self.assertEqual((late, writing.unwanted, os.listdir(self.dumps)), ([False], False, ["core"]))

    def test_t37_who_only_asks_reserves_nothing(self) -> None:
        """Neither the name nor the quota, nor does it end what its client is writing; the first octets do."""
        store = self.store(quota=1000, files=1)
        silent = [self.begun(store, "dumps/core", client, 900) for client in (ONE, OTHER, ONE)]
        real = self.begun(store, "dumps/core", size=900)
        real.write(b"x" * 450)
        self.begun(store, "dumps/core", size=900)
        self.assert_refused(6, "another machine is writing", store, "dumps/core", client=OTHER)
        with self.assertRaises(Refusal) as caught:
            silent[1].write(b"x")
        self.assertEqual(caught.exception.code, 6)
        real.write(b"x" * 450)
        real.finish()
        self.assertEqual((self.dumps / "core").read_bytes(), b"x" * 900)

    def test_t37_a_name_that_is_not_on_the_disk(self) -> None:
        """The file is there, and whoever reads the log learns that it is."""
        writing = self.begun(self.store(), "dumps/core")
        writing.write(b"x")

        def broken() -> None:
            raise OSError(5, "Input/output error")

        self.patch(writing.file, "settle", broken)
        caught = self.assertRaises(OSError, writing.finish)
        self.assertIn("it is there", str(caught))
        self.assertEqual(os.listdir(self.dumps), ["core"])


class LimitTests(Case):
    """How much may be left."""

    def test_t37_largest(self) -> None:
        """An announced size is refused at once."""
        self.assert_refused(
            3, "no more than 1000 octets are taken here (tftp.write.largest)", self.store(), "dumps/core", size=1001
        )
        self.assertEqual(self.store().largest("dumps/core"), 1000)

    def test_t37_quota(self) -> None:
        """What a client has there counts, after a restart too, and what it is writing; what is removed does not."""
        for name in ("a", "b"):
            self.put(self.store(), f"dumps/{name}", b"x" * 900)
        store = self.store(files=9)
        self.assert_refused(3, "leave 2000 octets here, and no more (tftp.write.quota)", store, "dumps/c", size=201)
        self.assert_refused(3, "one machine may leave 2000 octets", store, "dumps/c", b"x" * 201)
        self.put(store, "dumps/theirs", b"x" * 900, client=OTHER)
        growing = self.begun(store, "dumps/c", size=150)
        growing.write(b"x")
        self.assert_refused(3, "one machine may leave 2000 octets", store, "dumps/d", size=51)
        growing.discard()
        (self.dumps / "a").rename(self.root / "kept")
        self.put(store, "dumps/d", b"x" * 900, size=900)
        self.assertEqual(sorted(os.listdir(self.dumps)), ["b", "d", "theirs"])

    def test_t37_files(self) -> None:
        """So are their number, those that are being written among them; the operator's own do not count."""
        store = self.store()
        (self.dumps / "operators").write_bytes(b"x" * 5000)
        self.put(store, "dumps/a", b"")
        self.put(store, "dumps/b", b"")
        third = self.begun(store, "dumps/c")
        third.write(b"")
        self.assert_refused(3, "3 files", store, "dumps/d")
        third.discard()
        self.put(store, "dumps/d", b"")
        self.assert_refused(3, "3 files here, and no more (tftp.write.files)", self.store(), "dumps/e")

    def test_t37_a_file_in_the_place_of_its_own(self) -> None:
        """What is replaced does not count beside what replaces it."""
        store = self.store(overwrite=True, files=1, quota=1000)
        for _ in range(3):
            self.put(store, "dumps/core", b"x" * 900, size=900)
        self.assertEqual(os.getxattr(self.dumps / "core", CLIENT), ONE.encode())

    def test_t37_what_is_being_replaced_makes_no_room(self) -> None:
        """It may stay after all, in whatever order two are begun and ended."""
        for first, second in (("a", "b"), ("b", "a")):
            store = self.store(overwrite=True, quota=1000)
            self.put(store, "dumps/a", b"a" * 900)
            writing = {}
            for name in (first, second):
                writing[name] = self.begun(store, f"dumps/{name}")
                writing[name].write(b"x")
            self.assertRaises(Refusal, writing["b"].write, b"b" * 800)
            writing["b"].discard()
            self.assert_refused(3, "one machine may leave", store, "dumps/b", b"b" * 900)
            self.put(store, "dumps/a", b"a" * 1000)
            writing["a"].discard()
            self.assertEqual({path.name: path.stat().st_size for path in self.dumps.iterdir()}, {"a": 1000})
            (self.dumps / "a").unlink()

    def test_t37_counted_again_at_the_end(self) -> None:
        """What came there meanwhile without our knowing leaves no room either."""
        for limits in ({"quota": 1000}, {"files": 1}):
            store = self.store(**limits)  # type: ignore[arg-type]
            writing = self.begun(store, "dumps/core")
            writing.write(b"x" * 900)
            self.put(self.store(), "dumps/other", b"x" * 900)  # Another server.
            self.assertRaises(Refusal, writing.finish)
            self.assertEqual(os.listdir(self.dumps), ["other"])
            (self.dumps / "other").unlink()

    def test_t37_without_attributes(self) -> None:
        """Where the file system cannot say whose a file is, every file counts for everybody."""

        def unsupported(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        self.patch(os, "setxattr", unsupported)
        self.patch(os, "getxattr", unsupported)
        store = self.store()
        self.put(store, "dumps/a", b"x" * 900)
        self.put(store, "dumps/b", b"x" * 900, client=OTHER)
        self.assert_refused(3, "one machine may leave 2000 octets", store, "dumps/c", size=300)

    def test_t37_a_full_disk(self) -> None:
        """What is to be left free is not taken: neither by what is announced nor by what comes."""
        status = os.statvfs(self.dumps)
        free = status.f_bavail * status.f_frsize
        store = Store(str(self.root), [WriteSettings(folder="dumps", free=(free & -1024) + (1 << 40))])
        self.assert_refused(3, "iB must stay free (tftp.write.free)", store, "dumps/core")
        spare = Store(
            str(self.root), [WriteSettings(folder="dumps", free=free - (1 << 30), largest=1 << 43, quota=1 << 43)]
        )
        self.assert_refused(3, "the disk is full", spare, "dumps/core", size=1 << 42)
        writing = self.begun(spare, "dumps/core")
        self.patch(os, "write", self.no_space)
        with self.assertRaises(Refusal) as caught:
            writing.write(b"x")
        self.assertEqual((caught.exception.code, caught.exception.message), (3, "the disk is full"))

    def no_space(self, *_: object) -> int:
        """A disk that is full."""
        raise OSError(28, "No space left on device")


class FolderTests(Case):
    """The folders themselves."""

    def test_t37_residue(self) -> None:
        """What a crash has left is removed at the start, but nothing else, and not what another server is writing."""
        (self.dumps / f"{HIDDEN}0123").write_bytes(b"x")
        (self.dumps / ".gitignore").write_bytes(b"x")
        (self.dumps / "core").write_bytes(b"x")
        self.patch(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT)
        other = self.begun(self.store(), "dumps/theirs")
        other.write(b"theirs")
        self.assertEqual(self.store().prepare(), [])
        other.finish()
        self.assertEqual(sorted(os.listdir(self.dumps)), [".gitignore", "core", "theirs"])

    def test_t37_missing(self) -> None:
        """A folder that is not there, or a link, is told at the start, and takes nothing."""
        (self.root / "link").symlink_to(self.dumps)
        areas = [WriteSettings(folder=folder) for folder in ("link", "gone")]
        store = Store(str(self.root), areas)
        problems = store.prepare()
        self.assertEqual([problem.rpartition(": ")[0] for problem in problems],
                         [f"nothing can be written to {self.root}/{area.folder}" for area in areas])  # fmt: skip
        for area in areas:
            self.assert_refused(2, "nothing can be written here", store, f"{area.folder}/core")
        self.assert_refused(2, "nothing can be written here", Store("", areas), "gone/core")

    def test_t37_a_path_of_its_own(self) -> None:
        """A folder elsewhere, also for names without one."""
        drop = self.root / "drop"
        drop.mkdir()
        store = Store(
            "", [WriteSettings(path=str(drop), free=0), WriteSettings(folder="a/b", path=str(self.dumps), free=0)]
        )
        self.assertEqual(store.prepare(), [])
        self.put(store, "switch-confg", b"one")
        self.put(store, "a/b/core", b"two")
        self.assertEqual(((drop / "switch-confg").read_bytes(), (self.dumps / "core").read_bytes()), (b"one", b"two"))
