"""Tests of `pixelboot.library.folder.look`."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container.table import TEXT_LIMIT
from pixelboot.library.folder.look import (
    LARGEST_PICTURE,
    LARGEST_SIDECAR,
    SIDECARS,
    Seen,
    Stamp,
    Survey,
    Unreadable,
    look,
    open_picture,
    open_sidecar,
    survey,
)
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

    def test_only_what_was_asked_for(self) -> None:
        for name in ("a.rts.png", "b.rts.png", "b.rts.meta.json", "c.png", ".d.rts.png"):
            (self.root / name).write_bytes(name.encode())
        os.symlink("../secret.rts.png", self.root / "out.rts.png")
        hostile = ("", "../secret.rts.png", "x\0.rts.png", "\udcff.rts.png")
        asked = ("out.rts.png", "b.rts.png", "gone.rts.png", "c.png", ".d.rts.png", *hostile)
        every = {seen.file_name: seen for seen in look(str(self.root))}
        self.assertEqual(look(str(self.root), asked), [every["b.rts.png"], every["out.rts.png"]])
        self.assertEqual(look(str(self.root), []), [])

    def test_what_is_known_and_as_it_was(self) -> None:
        """It is the same object: the comparison of thousands is then no work."""
        for name in ("same", "written", "times", "replaced", "sidecar"):
            (self.root / f"{name}.rts.png").write_bytes(b"octets")
        os.symlink("same.rts.png", self.root / "link.rts.png")
        known = {seen.file_name: seen for seen in look(str(self.root))}
        (self.root / "written.rts.png").write_bytes(b"more octets")
        os.utime(self.root / "times.rts.png", (1, 1))
        (self.root / "other").write_bytes(b"octets")
        (self.root / "other").rename(self.root / "replaced.rts.png")
        (self.root / "sidecar.rts.meta.json").touch()
        found = {seen.file_name: seen for seen in look(str(self.root), None, known)}
        self.assertEqual(found, {seen.file_name: seen for seen in look(str(self.root))})
        self.assertIs(found["same.rts.png"], known["same.rts.png"])
        self.assertEqual(found["link.rts.png"], known["link.rts.png"])
        for name in ("written", "times", "replaced", "sidecar"):
            self.assertNotEqual(found[f"{name}.rts.png"], known[f"{name}.rts.png"], name)

    def test_a_folder_that_is_not_there(self) -> None:
        self.assertRaises(OSError, look, str(self.root / "none"))
        self.assertRaises(Unreadable, open_picture, str(self.root / "none"), "x.rts.png")


class TestSidecar(SynchronousTestCase):
    """What stands beside a picture."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        (self.root.parent / "secret.json").write_bytes(b"secret")
        (self.root / "a.rts.png").write_bytes(b"picture")

    def seen(self, name: str = "a.rts.png") -> Seen:
        """The same, whether it is sought alone or among all."""
        (alone,) = look(str(self.root), [name])
        self.assertEqual({seen.file_name: seen for seen in look(str(self.root))}[name], alone)
        return alone

    def why(self) -> str:
        return str(self.assertRaises(Unreadable, open_sidecar, self.seen()))

    def test_both_names(self) -> None:
        """The first that is there counts."""
        self.assertEqual((self.seen().sidecar, self.seen().sidecar_name), (None, ""))
        self.assertIsNone(open_sidecar(self.seen()))
        keys = {self.seen().key}
        for ending in reversed(SIDECARS):
            (self.root / f"a{ending}").write_bytes(ending.encode())
            self.assertEqual(self.seen().sidecar_name, f"a{ending}")
            self.assertEqual(open_sidecar(self.seen()), ending.encode())
            keys.add(self.seen().key)
        self.assertEqual(len(keys), 3, "the cache remembers each state by itself")
        stamps = [Stamp.of((self.root / name).stat()) for name in ("a.rts.png", "a.rts.png.meta.json")]
        self.assertEqual(self.seen().key, "+".join(map(str, stamps)))
        self.assertLess(len(self.seen().key.replace("-", "f" * 13)), 256, "it fits into a file's name")

    def test_of_no_picture(self) -> None:
        """There is no entry for a sidecar alone, nor a key for what is no picture."""
        (self.root / "b.rts.meta.json").touch()
        os.mkfifo(self.root / "b.rts.png")
        self.assertEqual((self.seen("b.rts.png").sidecar, self.seen("b.rts.png").key), (None, ""))
        (self.root / "b.rts.png").unlink()
        self.assertEqual([seen.file_name for seen in look(str(self.root))], ["a.rts.png"])

    def test_what_is_no_sidecar(self) -> None:
        """It is there and cannot be read; the picture is there all the same."""
        path = self.root / "a.rts.meta.json"
        cases = (
            (lambda: os.mkfifo(path), "it is not a regular file"),
            (path.mkdir, "it is not a regular file"),
            (lambda: path.symlink_to("../secret.json"), "it is a link that leads out of the folder"),
            (lambda: path.symlink_to(self.root.parent / "secret.json"), "it is a link that leads out of the folder"),
            (lambda: path.symlink_to("none.json"), "it is a link that leads nowhere"),
            (lambda: path.symlink_to(path.name), "it is not a regular file"),
            (lambda: path.write_bytes(bytes(LARGEST_SIDECAR + 1)), f"its {LARGEST_SIDECAR + 1} octets are more than"),
        )
        for make, problem in cases:
            make()
            self.assertEqual(self.seen().problem, "")
            self.assertIn(f"the sidecar a.rts.meta.json cannot be read: {problem}", self.why())
            path.rmdir() if path.is_dir() else path.unlink()

    def test_its_largest_size(self) -> None:
        """It may be as long as a description in a picture."""
        self.assertEqual(LARGEST_SIDECAR, TEXT_LIMIT)
        (self.root / "a.rts.meta.json").write_bytes(bytes(LARGEST_SIDECAR))
        self.assertEqual(open_sidecar(self.seen()), bytes(LARGEST_SIDECAR))

    def test_changed_since(self) -> None:
        """What is read is what was seen, or nothing."""
        path = self.root / "a.rts.meta.json"
        path.write_bytes(b"{}")
        seen = self.seen()
        path.write_bytes(b"[]")
        os.utime(path, ns=(0, seen.sidecar.mtime_ns if seen.sidecar else 0))
        error = self.assertRaises(Unreadable, open_sidecar, seen)
        self.assertEqual(str(error), "the sidecar a.rts.meta.json is being replaced")
        path.unlink()
        error = self.assertRaises(Unreadable, open_sidecar, seen)
        self.assertEqual(
            str(error),
            "the sidecar a.rts.meta.json cannot be read: the file cannot be opened: No such file or directory",
        )

    def test_links_within_the_folder(self) -> None:
        """A link's own sidecar counts, then that of what it leads to; and either may be a link itself."""
        (self.root / "link.rts.png").symlink_to("a.rts.png")
        self.assertEqual(self.seen("link.rts.png").via, ("a.rts.png",))
        (self.root / "a.rts.png.meta.json").write_bytes(b"of a")
        self.assertEqual(open_sidecar(self.seen("link.rts.png")), b"of a")
        (self.root / "common.json").write_bytes(b"common")
        (self.root / "link.rts.meta.json").symlink_to("common.json")
        self.assertEqual(open_sidecar(self.seen("link.rts.png")), b"common")
        self.assertEqual(self.seen("link.rts.png").via, ("a.rts.png", "common.json"))


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

    def test_some_names(self) -> None:
        """Only these are looked for, and what is known to lead to them."""
        for number, name in ((0, "a.rts.png"), (1, "a.rts.png"), (1, "b.rts.png"), (2, "c.rts.png"), (2, "data")):
            self.put(number, name)
        os.symlink("data", Path(self.roots[2]) / "link.rts.png")
        before = survey(self.roots, ())
        self.assertIsNone(before.names)
        os.unlink(Path(self.roots[0]) / "a.rts.png")
        os.unlink(Path(self.roots[1]) / "b.rts.png")
        self.put(0, "c.rts.png")
        self.put(2, "data")
        found = survey(self.roots, before.seen.values(), {"a.rts.png", "b.rts.png", "data"})
        self.assertEqual(found.names, {"a.rts.png", "b.rts.png", "data", "link.rts.png"})
        self.assertEqual(self.folders(found), {"a.rts.png": 1, "link.rts.png": 2})
        self.assertNotEqual(found.seen["link.rts.png"], before.seen["link.rts.png"])
        self.assertEqual(found.complaints, set())
        found = survey(self.roots, before.seen.values(), {"c.rts.png"})
        self.assertEqual(self.folders(found), {"c.rts.png": 0})
        self.assertEqual(found.complaints, {ContainerShadowed("c.rts.png", self.roots[2], self.roots[0])})

    def test_some_names_in_a_folder_that_is_gone(self) -> None:
        self.put(0, "a.rts.png")
        self.put(0, "b.rts.png")
        before = survey(self.roots, ())
        os.rename(self.roots[0], self.roots[0] + "-aside")
        found = survey(self.roots, before.seen.values(), {"a.rts.png", "c.rts.png"})
        self.assertEqual((found.seen, found.complete), ({"a.rts.png": before.seen["a.rts.png"]}, False))

    @given(st.data())
    @settings(max_examples=25)
    def test_step_by_step(self, data: st.DataObject) -> None:
        """Who looks at the names that changed knows in the end what there is, links and sidecars included."""
        names = ["a.rts.png", "b.rts.png", "c", "a.rts.meta.json", "a.rts.png.meta.json"]
        folders = [Path(self.mktemp()).resolve() for _ in range(2)]
        for folder in folders:
            folder.mkdir()
        roots = [str(folder) for folder in folders]
        known = survey(roots, ()).seen
        for step in range(data.draw(st.integers(1, 8))):
            path = data.draw(st.sampled_from(folders)) / data.draw(st.sampled_from(names))
            path.unlink(missing_ok=True)
            made = data.draw(st.sampled_from(["", "file", *names]))
            if made == "file":
                path.write_bytes(bytes(step))
            elif made:
                path.symlink_to(made)
            changed = {path.name} | {path.name.removesuffix(ending) + ".rts.png" for ending in SIDECARS}
            found = survey(roots, known.values(), changed)
            known = {name: seen for name, seen in known.items() if name not in (found.names or ())} | found.seen
            every = survey(roots, known.values())
            self.assertEqual(known, every.seen)
            self.assertEqual(every.seen, survey(roots, ()).seen)
