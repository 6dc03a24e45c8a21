"""Tests of `pixelboot.library.names.below`: which file a name means, and that it never is one outside."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.names import below
from pixelboot.library.names.below import open_below, regular
from pixelboot.library.names.components import Absent, Forbidden, components


class BelowCase(SynchronousTestCase):
    """A folder with secrets beside it."""

    def setUp(self) -> None:
        # Short, for the path of a socket.
        self.outside = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(self.clean)
        self.root = self.outside / "root"
        (self.root / "a" / "b").mkdir(parents=True)
        (self.outside / "root-secret").mkdir()
        for name in ("secret", "root-secret/x", "root-secret/a"):
            (self.outside / name).write_bytes(b"secret")
        self.put("x", "a/x", "a/b/x")

    def clean(self) -> None:
        for folder, _, files in os.walk(self.outside, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                os.unlink(path) if os.path.islink(path) else os.rmdir(path)
        self.outside.rmdir()

    def put(self, *names: str) -> None:
        """Files that hold their own names."""
        for name in names:
            (self.root / name).write_bytes(name.encode())

    def link(self, name: str, target: str | Path) -> None:
        (self.root / name).symlink_to(target)

    def read(self, name: str) -> str:
        """What is in the file that a name means, or why there is none."""
        before = len(os.listdir("/proc/self/fd"))
        try:
            with open(open_below(str(self.root), components(name)), "rb") as file:
                return file.read().decode()
        except (Absent, Forbidden) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self.assertEqual(len(os.listdir("/proc/self/fd")), before, "no descriptor is left")


OUT = "Outside: it is a link that leads out of the folder"
NONE = "Absent: there is no such file"


class BelowTests(BelowCase):
    """Names as files."""

    def test_files(self) -> None:
        os.mkfifo(self.root / "fifo")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.root / "socket"))
        for name, found in (
            ("x", "x"),
            ("/a//b/x", "a/b/x"),
            ("a", "Forbidden: it is a folder"),
            ("fifo", "Forbidden: it is not a regular file"),
            ("socket", "Forbidden: it is not a regular file"),
            ("y", NONE),
            ("a/y/x", NONE),
            ("x/y", NONE),
            ("a/X", NONE),
            ("\udcff", NONE),
        ):
            self.assertEqual(self.read(name), found, name)

    def test_a_device(self) -> None:
        """It is not even opened."""
        self.assertEqual(str(self.assertRaises(Forbidden, open_below, "/dev", ("zero",))), "it is not a regular file")
        self.assertEqual(str(self.assertRaises(Forbidden, regular, os.open("/dev/null", below.READ)))[:9], "it is not")

    def test_links(self) -> None:
        """Those that stay in the folder work, however they are written."""
        for name, target, found in (
            ("l1", "a/x", "a/x"),
            ("l2", "l1", "a/x"),
            ("a/l3", "../x", "x"),
            ("a/l4", "./b/../../a//b/x", "a/b/x"),
            ("l5", self.root / "a" / "x", "a/x"),
            ("a/l6", f"{self.root}/a/../x", "x"),
            ("l7", "none", NONE),
            ("l8", "x/", "x"),
            ("l9", "x/..", NONE),
            ("l10", "a/b", "Forbidden: it is a folder"),
            ("l11", ".", "Forbidden: it is a folder"),
            ("l12", self.root, "Forbidden: it is a folder"),
            ("loop", "loop", "Forbidden: it is a link that leads nowhere"),
            ("loop1", "loop2", "Forbidden: it is a link that leads nowhere"),
            ("loop2", "a/../loop1", "Forbidden: it is a link that leads nowhere"),
            ("deep", "a/" + "b/../b/../" * 400 + "x", "a/x"),
        ):
            self.link(name, target)
            self.assertEqual(self.read(name), found if name != "loop1" else NONE, name)
        self.assertEqual(self.read("l10/x"), "a/b/x")
        self.assertEqual(self.read("l11/l11/l12/l10/x"), "a/b/x")
        self.assertEqual(self.read("l11/" * 41 + "x"), "Forbidden: it is a link that leads nowhere")

    def test_t35_links_that_lead_out(self) -> None:
        for name, target in (
            ("o1", "../secret"),
            ("o2", self.outside / "secret"),
            ("o3", "a/../../secret"),
            ("o4", ".."),
            ("o5", "/"),
            ("o6", f"{self.root}-secret/x"),
            ("o7", f"{self.root}/../secret"),
            ("o8", f"{self.root}/a/../../root/x"),
            ("o9", "../root/x"),
            ("o10", "/proc/self/root/etc/passwd"),
            ("o11", "o1"),
            ("o12", "/etc/../" + str(self.root)[1:] + "/x"),
        ):
            self.link(name, target)
            self.assertEqual(self.read(name), OUT, name)
        for name in ("o4/secret", "o4/root/x", "o5/etc/passwd", "a/../o4"):
            self.assertRaises(Forbidden, lambda name=name: open_below(str(self.root), components(name)))

    def test_volumes_of_kubernetes(self) -> None:
        """Their files are links through a hidden one to a hidden folder: who makes a link means it."""
        (self.root / "..2024").mkdir()
        self.put("..2024/y")
        self.link("..data", "..2024")
        self.link("y", "..data/y")
        self.assertEqual(self.read("y"), "..2024/y")

    def test_a_root_behind_a_link(self) -> None:
        """It may be one, and an absolute link in it may use either path."""
        (self.outside / "alias").symlink_to("root")
        self.link("l1", self.root / "x")
        self.link("l2", self.outside / "alias" / "x")
        self.root = self.outside / "alias"
        self.assertEqual((self.read("l1"), self.read("l2"), self.read("a/x")), ("x", "x", "a/x"))

    def test_a_root_that_is_gone(self) -> None:
        """It is not as if it were empty: then something else would be served."""
        for root in (self.outside / "none", self.root / "x"):
            error = self.assertRaises(Forbidden, open_below, str(root), ("x",))
            self.assertTrue(str(error).startswith(f"the folder {root} cannot be opened: "), error)

    def test_too_deep(self) -> None:
        self.patch(below, "DEEPEST", 2)
        self.link("l", "a/b")
        self.assertEqual((self.read("l/x"), self.read("a/x")), ("a/b/x", "a/x"))
        (self.root / "a" / "b" / "c").mkdir()
        self.put("a/b/c/x")
        self.link("m", "a/b/c")
        self.assertEqual(self.read("m/x"), "Forbidden: it lies too deep")

    def refuse(self, number: int, what: str) -> Callable[[], None]:
        """From now on, until the result is called, the system refuses to open the root, a folder or a file."""
        opened = os.open

        def refused(path: str, flags: int, *, dir_fd: int | None = None) -> int:
            kind = "root" if dir_fd is None else "folder" if flags & os.O_PATH else "file"
            if kind == what:
                raise OSError(number, os.strerror(number))
            return opened(path, flags, dir_fd=dir_fd)

        allow: Callable[[], None] = self.patch(os, "open", refused).restore
        return allow

    def test_no_descriptors_left(self) -> None:
        """What the system refuses is refused."""
        for what in ("folder", "file"):
            for number in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EILSEQ, errno.ENXIO):
                allow = self.refuse(number, what)
                self.assertEqual(self.read("a/x"), f"Forbidden: it cannot be opened: {os.strerror(number)}")
                allow()
        self.refuse(errno.EACCES, "root")
        self.assertEqual(self.read("x"), f"Forbidden: the folder {self.root} cannot be opened: Permission denied")

    def test_a_bad_moment(self) -> None:
        """That there is no descriptor left, or the disk does not answer, says nothing of the file."""
        for what in ("root", "folder", "file"):
            for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EINTR):
                allow = self.refuse(number, what)
                error = self.assertRaises(OSError, self.read, "a/x")
                allow()
                assert isinstance(error, OSError)
                self.assertEqual(error.errno, number, what)

    def test_a_file_that_cannot_be_looked_at(self) -> None:
        """Its descriptor is given back."""

        def fail(descriptor: int) -> os.stat_result:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

        self.patch(os, "fstat", fail)
        self.assertRaises(OSError, self.read, "x")

    def test_exchanged_meanwhile(self) -> None:
        """A file or folder that becomes a link between the look and the opening is not followed."""
        look = os.stat

        def exchange(path: str, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
            status = look(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
            if path in ("victim", "folder"):
                os.rename(path, f"{path}-was", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
                os.symlink("../secret" if path == "victim" else "../root-secret", path, dir_fd=dir_fd)
            return status

        self.put("victim")
        (self.root / "folder").mkdir()
        self.put("folder/x")
        self.patch(os, "stat", exchange)
        self.assertEqual(self.read("victim"), "Forbidden: it cannot be opened: Too many levels of symbolic links")
        self.assertEqual(self.read("folder/x"), NONE)


STEPS = st.sampled_from(["a", "b", "x", "l0", "l1", "l2", "l3", "secret", "root", "root-secret"])
UP = st.sampled_from(["..", ".", "", "a", "b", "x", "l0", "l1", "l2", "l3", "secret", "root", "root-secret"])


class AnyTests(BelowCase):
    """Any name, among any links."""

    @given(
        st.lists(st.tuples(st.sampled_from(["", "/", "{root}/"]), st.lists(UP, max_size=6)), min_size=4, max_size=4),
        st.lists(st.lists(STEPS, min_size=1, max_size=4).map("/".join) | st.text(max_size=12), min_size=1, max_size=8),
    )
    def test_never_outside(self, links: list[tuple[str, list[str]]], names: list[str]) -> None:
        """What is opened is a file of the folder; what the kernel finds in there by itself is found."""
        for number, (start, steps) in enumerate(links):
            place = self.root / ("a" if number % 2 else "") / f"l{number}"
            place.unlink(missing_ok=True)
            os.symlink((start.format(root=self.root) + "/".join(steps)) or ".", place)
        inside = {str(self.root / name): name for name in ("x", "a/x", "a/b/x")}
        for name in names:
            found = self.read(name)
            try:
                path = os.path.realpath(self.root / "/".join(components(name)), strict=True)
            except (Forbidden, OSError):
                path = ""
            if not found.startswith(("Absent: ", "Forbidden: ")):
                self.assertEqual(found, inside.get(path), name)
            elif found == NONE:
                self.assertNotIn(path, inside, name)
