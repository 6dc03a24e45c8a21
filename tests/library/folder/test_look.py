"""Tests of `pixelboot.library.folder.look`."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder.look import LARGEST_PICTURE, Seen, Stamp, Survey, Unreadable, look, open_picture, survey
from pixelboot.library.outcomes import ContainerShadowed, FolderUnreadable


class TestFolder(SynchronousTestCase):
    """What is seen and what may be opened."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        (self.root.parent / "secret.rts.png").write_bytes(b"secret")

    def problems(self) -> dict[str, str]:
        return {seen.file_name: seen.problem for seen in look(str(self.root))}

    def read(self, name: str) -> bytes:
        descriptor = open_picture(str(self.root), name)
        with open(descriptor, "rb") as file:
            return file.read()

    def test_only_pictures(self) -> None:
        for name in (
            "b.rts.png",
            "a.rts.png",
            ".hidden.rts.png",
            "c.png",
            "d.rts.png.meta.json",
            "E.RTS.PNG",
            ".rts.png",
        ):
            (self.root / name).write_bytes(name.encode())
        status = (self.root / "a.rts.png").stat()
        found = look(str(self.root))
        self.assertEqual([seen.file_name for seen in found], ["a.rts.png", "b.rts.png"])
        stamp = Stamp(status.st_dev, status.st_ino, 9, status.st_mtime_ns, status.st_ctime_ns)
        self.assertEqual(found[0], Seen(str(self.root), "a.rts.png", stamp))
        self.assertEqual(stamp.changed_at, status.st_ctime_ns / 1e9)
        self.assertEqual(self.read("a.rts.png"), b"a.rts.png")

    def test_what_is_no_picture(self) -> None:
        (self.root / "folder.rts.png").mkdir()
        os.mkfifo(self.root / "fifo.rts.png")
        os.symlink("../secret.rts.png", self.root / "out.rts.png")
        os.symlink(str(self.root.parent / "secret.rts.png"), self.root / "absolute.rts.png")
        os.symlink("nowhere.rts.png", self.root / "dangling.rts.png")
        os.symlink("loop.rts.png", self.root / "loop.rts.png")
        os.symlink("..", self.root / "up.rts.png")
        (self.root / "plain.rts.png").write_bytes(b"plain")
        os.symlink("plain.rts.png", self.root / "link.rts.png")
        os.symlink("link.rts.png", self.root / "chain.rts.png")
        self.assertEqual(
            self.problems(),
            {
                "absolute.rts.png": "it is a link that leads out of the folder",
                "chain.rts.png": "it is not a regular file",
                "dangling.rts.png": "it is a link that leads nowhere",
                "fifo.rts.png": "it is not a regular file",
                "folder.rts.png": "it is not a regular file",
                "link.rts.png": "",
                "loop.rts.png": "it is not a regular file",
                "out.rts.png": "it is a link that leads out of the folder",
                "plain.rts.png": "",
                "up.rts.png": "it is a link that leads out of the folder",
            },
        )
        self.assertEqual(self.read("link.rts.png"), b"plain")
        for name, problem in self.problems().items():
            if problem:
                self.assertEqual(str(self.assertRaises(Unreadable, open_picture, str(self.root), name)), problem)

    def test_files_larger_than_any_container(self) -> None:
        for name, size in (("large", LARGEST_PICTURE), ("larger", LARGEST_PICTURE + 1), ("sparse", 1 << 40)):
            (self.root / f"{name}.rts.png").touch()
            os.truncate(self.root / f"{name}.rts.png", size)
        problem = f"its {1 << 40} octets are more than any container has"
        self.assertEqual(
            self.problems(),
            {
                "large.rts.png": "",
                "larger.rts.png": f"its {LARGEST_PICTURE + 1} octets are more than any container has",
                "sparse.rts.png": problem,
            },
        )
        error = self.assertRaises(Unreadable, open_picture, str(self.root), "sparse.rts.png")
        self.assertEqual(str(error), problem)

    def test_names_that_are_not_utf_8(self) -> None:
        Path(os.fsdecode(os.fsencode(self.root) + b"/\xff.rts.png")).write_bytes(b"x")
        self.assertEqual(self.problems(), {"\\xff.rts.png": "the name of the file is not UTF-8"})
        self.assertRaises(Unreadable, open_picture, str(self.root), "\\xff.rts.png")
        (self.root / "\\xff.rts.png").write_bytes(b"y")
        self.assertEqual(len(self.problems()), 1, "two files whose names look alike are one entry")

    def test_hostile_names(self) -> None:
        (self.root / "sub").mkdir()
        (self.root / "sub" / "x.rts.png").write_bytes(b"x")
        for name in [
            *("../secret.rts.png", "sub/x.rts.png", "/etc/passwd", "", ".", "..", "x\0.rts.png", "\0.rts.png"),
            *("a" * 300 + ".rts.png", "missing.rts.png", "\ud800.rts.png", ".rts.png", "x", "../" * 20 + "x.rts.png"),
        ]:
            self.assertRaises(Unreadable, open_picture, str(self.root), name)

    def test_a_folder_that_is_not_there(self) -> None:
        self.assertRaises(OSError, look, str(self.root / "none"))
        self.assertRaises(Unreadable, open_picture, str(self.root / "none"), "x.rts.png")


class TestSurvey(SynchronousTestCase):
    """Several folders as one."""

    def setUp(self) -> None:
        self.roots = [str(Path(self.mktemp()).resolve()) for _ in range(3)]
        for root in self.roots:
            os.mkdir(root)

    def put(self, number: int, name: str) -> None:
        (Path(self.roots[number]) / name).write_bytes(f"{number} {name}".encode())

    def folders(self, found: Survey) -> dict[str, int]:
        return {name: self.roots.index(seen.folder) for name, seen in found.seen.items()}

    def test_the_first_counts(self) -> None:
        """Also where its file is of no use: nobody wonders why another one boots."""
        for number, name in ((2, "a.rts.png"), (1, "b.rts.png"), (2, "b.rts.png"), (0, "c.rts.png"), (1, "c.rts.png")):
            self.put(number, name)
        os.mkfifo(Path(self.roots[0]) / "a.rts.png")
        found = survey(self.roots, ())
        self.assertEqual(self.folders(found), {"a.rts.png": 0, "b.rts.png": 1, "c.rts.png": 0})
        self.assertEqual(found.seen["a.rts.png"].problem, "it is not a regular file")
        self.assertTrue(found.complete)
        self.assertEqual(
            found.complaints,
            {
                ContainerShadowed("a.rts.png", self.roots[2], self.roots[0]),
                ContainerShadowed("b.rts.png", self.roots[2], self.roots[1]),
                ContainerShadowed("c.rts.png", self.roots[1], self.roots[0]),
            },
        )
        self.assertEqual(self.folders(survey(self.roots[::-1], ())), {"a.rts.png": 2, "b.rts.png": 2, "c.rts.png": 1})

    def test_a_folder_that_is_gone(self) -> None:
        """What was known of it stays as it was; the other folders are as they are now."""
        for number, name in ((0, "a.rts.png"), (1, "a.rts.png"), (1, "b.rts.png"), (2, "c.rts.png")):
            self.put(number, name)
        before = survey(self.roots, ())
        os.rename(self.roots[0], self.roots[0] + "-aside")
        os.unlink(Path(self.roots[2]) / "c.rts.png")
        found = survey(self.roots, before.seen.values())
        self.assertEqual(self.folders(found), {"a.rts.png": 0, "b.rts.png": 1})
        self.assertEqual(found.seen["a.rts.png"], before.seen["a.rts.png"])
        self.assertFalse(found.complete)
        lost = FolderUnreadable(self.roots[0], "No such file or directory")
        self.assertEqual(found.complaints, {lost, ContainerShadowed("a.rts.png", self.roots[1], self.roots[0])})
        self.assertEqual(self.folders(survey(self.roots, ())), {"a.rts.png": 1, "b.rts.png": 1})
