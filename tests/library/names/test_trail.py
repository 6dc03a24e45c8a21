"""Tests of `pixelboot.library.names.trail`: whether a way is still the same."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.names.below import open_below
from pixelboot.library.names.components import Absent, Forbidden, components
from pixelboot.library.names.folded import Listings, Until
from pixelboot.library.names.trail import Trail, stands

LATER = 4e9
"""A time of day at which everything has lain still for long."""


class TrailCase(SynchronousTestCase):
    """A folder in which things change."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        (self.root / "a" / "b").mkdir(parents=True)
        (self.root / "a" / "b" / "x").write_bytes(b"x")
        (self.root / "l").symlink_to("a/b")
        (self.root / "m").symlink_to("a/none")

    def go(self, name: str, fold: bool = False, at: float = LATER) -> tuple[str, Trail]:
        """What is found, and the way to it."""
        trail = Trail()
        try:
            listings = Listings(lambda: at) if fold else None
            with open(open_below(str(self.root), components(name), trail, listings), "rb") as file:
                return f"{os.fstat(file.fileno()).st_ino} {file.read()!r}", trail
        except (Absent, Forbidden) as error:
            return type(error).__name__, trail


class TrailTests(TrailCase):
    """What is seen by a look."""

    def change(self, number: int) -> None:
        """One of the changes after which the same name is not the same file on the same way."""
        root = self.root
        path = root / "a" / "b" / "x"
        if number == 0:
            path.write_bytes(b"xx")
        elif number == 1:
            path.unlink()
        elif number == 2:
            path.rename(root / "x")
        else:
            away = root.parent / f"out-{root.name}" if number == 3 else root / "c"
            (root / "a").rename(away)
            if number < 5:
                (root / "a").symlink_to(away)

    def test_unchanged(self) -> None:
        for fold in (False, True):
            for name in ("a/b/x", "l/x", "m", "none", "a/none/x", "a/b/x/y", "A/B/X", "L/X", "A/none"):
                found, trail = self.go(name, fold)
                assert trail.steps is not None
                self.assertNotEqual(trail.steps, (), name)
                self.assertTrue(stands(trail.steps), f"{name}: {found}")
        (self.root / "beside").write_bytes(b"")
        _, trail = self.go("a/b/x")
        (self.root / "a" / "beside").write_bytes(b"")
        assert trail.steps is not None
        self.assertTrue(stands(trail.steps), "what is put beside a file does not matter")

    def test_changed(self) -> None:
        """Every change on the way is seen, also one after which the same file is found by another way."""
        for fold, name in ((False, "a/b/x"), (False, "l/x"), (True, "A/b/X")):
            for number in range(6):
                self.setUp()
                _, trail = self.go(name, fold)
                self.change(number)
                assert trail.steps is not None
                self.assertFalse(stands(trail.steps), f"{name}, change {number}")

    def test_absent(self) -> None:
        """What was not there, and is now, is seen: also in another case, and where a link leads."""
        for fold, name, put in (
            (False, "none", "none"),
            (False, "a/none/x", "a/none"),
            (False, "m", "a/none"),
            (True, "m", "a/none"),
            (True, "none", "NONE"),
            (True, "A/None", "a/none"),
        ):
            self.setUp()
            found, trail = self.go(name, fold)
            self.assertEqual(found, "Absent")
            (self.root / put).write_bytes(b"")
            assert trail.steps is not None
            self.assertFalse(stands(trail.steps), name)

    def test_a_folder_that_changed_just_now(self) -> None:
        """Its times do not tell whether it changes once more in this tick: what is not there is not for long."""
        now = self.root.stat().st_mtime + 0.5
        _, trail = self.go("none", True, now)
        assert trail.steps is not None
        self.assertTrue(stands(trail.steps))
        until = trail.steps[-1][2]
        assert isinstance(until, Until)
        late = [
            (look, path, until._replace(seconds=lambda: until.instant) if state is until else state)
            for look, path, state in trail.steps
        ]
        self.assertFalse(stands(late))
        (self.root / "none").write_bytes(b"")
        self.assertFalse(stands(trail.steps), "under its own name it is seen at once")
        self.assertIsNotNone(self.go("a/b/x", True, now)[1].steps, "that was found without it")


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["write", "unlink", "rename", "mkdir", "link"]),
        st.sampled_from(["a", "A", "a/x", "A/x", "a/X", "x", "l"]),
        st.sampled_from(["a", "A", "a/x", "b", "x", "X", ".."]),
    ),
    max_size=5,
)


class AnyTests(TrailCase):
    """Any changes."""

    @given(CHANGES, CHANGES, st.sampled_from(["a/x", "A/X", "x", "l/x", "l", "A/x"]), st.booleans())
    def test_never_wrong(
        self, before: list[tuple[str, str, str]], after: list[tuple[str, str, str]], name: str, fold: bool
    ) -> None:
        """As long as a way stands, to go it again leads to the same."""
        self.setUp()
        self.make(before)
        found, trail = self.go(name, fold, 0.0)  # what a tick may hide is not remembered
        self.make(after)
        if trail.steps is not None and found != "Forbidden" and stands(trail.steps):
            self.assertEqual(self.go(name, fold)[0].split()[0], found.split()[0])

    def make(self, changes: list[tuple[str, str, str]]) -> None:
        """Do what can be done."""
        for what, one, other in changes:
            path, second = self.root / one, self.root / other
            try:
                if what == "write":
                    path.write_bytes(other.encode())
                elif what == "unlink":
                    path.unlink()
                elif what == "rename":
                    path.rename(second)
                elif what == "mkdir":
                    path.mkdir()
                else:
                    path.symlink_to(other)
            except OSError:
                continue
