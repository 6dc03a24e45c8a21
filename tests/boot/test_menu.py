"""Tests of `pixelboot.boot.menu`."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.menu import LOCAL, SHELL, Entry, Menu, make_menu


@dataclass(frozen=True)
class Shelved:
    """A container as the menu sees it."""

    id: str
    state: str = "ready"
    size: int = 15_000_000
    name: str = ""
    distro: str = ""
    cmdline: str = ""
    parts: tuple[tuple[str, int], ...] = (("kernel", 10), ("initrd", 20))


def menu(*containers: Shelved, default: str = LOCAL) -> Menu:
    """The menu over these, whose boot loader dislikes the word ``bad``."""

    def obstacle(entry: Entry) -> str | None:
        return "it is bad" if "bad" in entry.cmdline else None

    return make_menu(containers, default, 10.0, obstacle)


class MenuTests(SynchronousTestCase):
    """What is offered, and what boots by itself."""

    def test_only_what_can_boot_is_offered(self) -> None:
        """A container needs a kernel, and must not be damaged; one that is still being decoded is welcome."""
        made = menu(
            Shelved("b", name="Bee", distro="Debian", cmdline="quiet"),
            Shelved("broken", state="damaged"),
            Shelved("soon", state="decoding"),
            Shelved("disk", parts=(("disk", 5),)),
            Shelved("a", parts=(("kernel", 10),)),
            Shelved("bare", state="decoding", parts=()),
        )
        self.assertEqual([entry.id for entry in made.entries], ["b", "soon", "a"], "in the order given")
        self.assertEqual(made.entries[0], Entry("b", "Bee", 15_000_000, "Debian", "quiet", True, None))
        self.assertEqual((made.entries[2].name, made.entries[2].initrd), ("a", False))

    def test_default(self) -> None:
        """A default that cannot boot is replaced by the local disk, and said to be."""
        shelf = (Shelved("demo"), Shelved("worse", cmdline="bad"), Shelved("broken", state="damaged"))
        cases = (
            (LOCAL, LOCAL, None),
            (SHELL, SHELL, None),
            ("demo", "demo", None),
            ("gone", LOCAL, "'gone' is not here"),
            ("broken", LOCAL, "'broken' is not here"),
            ("worse", LOCAL, "'worse' cannot boot"),
            ("", LOCAL, "'' is not here"),
        )
        for asked, default, notice in cases:
            made = menu(*shelf, default=asked)
            self.assertEqual(made.default, default, asked)
            if notice is None:
                self.assertIsNone(made.notice, asked)
            else:
                self.assertIn(notice, made.notice or "", asked)

    def test_obstacle_is_kept(self) -> None:
        """An entry that cannot boot is shown, with the reason."""
        self.assertEqual(
            [entry.obstacle for entry in menu(Shelved("x", cmdline="bad"), Shelved("y")).entries], ["it is bad", None]
        )
