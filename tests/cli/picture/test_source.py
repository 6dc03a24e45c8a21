"""Tests of `pixelboot.cli.picture.source`."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.picture import source
from pixelboot.container.table import TEXT_LIMIT, Damaged
from pixelboot.malformed import Malformed
from tests.cli.picture.streams import standard
from tests.container.pictures import container, description, header, picture, rows

PARTS = {"kernel": b"k" * 100}


class TestOpened(SynchronousTestCase):
    """Files, and standard input."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def read(self, name: str) -> tuple[int, bytes]:
        with source.opened(name) as (size, file):
            return size, file.read()

    def refused(self, name: str) -> str:
        return str(self.assertRaises(Malformed, self.read, name))

    def test_a_file(self) -> None:
        self.path.write_bytes(b"octets")
        self.assertEqual(self.read(str(self.path)), (6, b"octets"))

    def test_no_file(self) -> None:
        self.assertEqual(self.refused(str(self.path)), f"{self.path}: No such file or directory")
        os.mkfifo(self.path)
        self.assertEqual(self.refused(str(self.path)), f"{self.path}: not a regular file")
        self.assertEqual(self.refused("/dev/zero"), "/dev/zero: not a regular file")
        self.assertEqual(self.refused("/"), "/: Is a directory")

    def test_standard_input(self) -> None:
        octets = os.urandom(1000) * 3000
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
        self.assertEqual(self.read("-"), (3_000_000, octets))

    def test_standard_input_without_end(self) -> None:
        self.patch(source, "_LIMIT", 3 << 20)
        with open("/dev/zero") as zero:
            self.patch(sys, "stdin", zero)
            self.assertEqual(self.refused("-"), f"standard input has more than {3 << 20} octets")

    def test_no_standard_input(self) -> None:
        self.patch(sys, "stdin", None)
        self.assertIn("standard input is a terminal, or closed", self.refused("-"))
        status, out, error = standard(b"", "inspect", "-", terminal=True)
        self.assertEqual((status, out), (1, b""))
        self.assertIn("standard input is a terminal", error)

    def test_no_room_for_standard_input(self) -> None:
        full = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
        self.patch(source, "unnamed", lambda: full)
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"octets")))
        self.assertEqual(self.refused("-"), "a temporary file: No space left on device")


class TestExamined(SynchronousTestCase):
    """The description in the picture, or beside it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "x.rts.png"
        self.bare = picture([header(8)], rows(PARTS["kernel"], 8))
        self.path.write_bytes(self.bare)
        self.sidecars = [self.folder / "x.rts.png.meta.json", self.folder / "x.rts.meta.json"]
        self.notes: list[str] = []
        self.patch(source, "note", self.notes.append)

    def name(self) -> str:
        with self.path.open("rb") as file:
            return source.examined(str(self.path), file).manifest.labels.name

    def test_beside_it(self) -> None:
        """The longer name goes first; the picture's own description before both."""
        self.assertIn("no payload", str(self.assertRaises(Damaged, self.name)))
        for sidecar, name in reversed([*zip(self.sidecars, ("long", "short"), strict=True)]):
            sidecar.write_bytes(description(PARTS, name=name))
            self.assertEqual(self.name(), name)
        self.path.write_bytes(container(PARTS, name="own"))
        self.assertEqual(self.name(), "own")
        self.assertEqual(self.notes, [])

    def test_what_is_no_description(self) -> None:
        """Told, and no reason not to read a picture that does not need it."""
        self.sidecars[0].mkdir()
        os.mkfifo(self.sidecars[1])
        self.assertRaises(Damaged, self.name)
        self.assertEqual(self.notes, [f"{self.sidecars[0]}: Is a directory", f"{self.sidecars[1]}: not a regular file"])
        self.path.write_bytes(container(PARTS, name="own"))
        self.assertEqual(self.name(), "own")

    def test_too_long(self) -> None:
        with self.sidecars[0].open("wb") as file:
            file.truncate(TEXT_LIMIT * 1000)
        self.assertRegex(str(self.assertRaises(Damaged, self.name)), f"the description has {TEXT_LIMIT + 1} octets")

    def test_standard_input_has_nothing_beside_it(self) -> None:
        self.assertEqual(standard(container(PARTS), "inspect", "-")[0], 0)
        status, _, error = standard(self.bare, "inspect", "-")
        self.assertEqual(status, 1)
        self.assertTrue(error.startswith("pixelboot: standard input: no payload: "), error)
