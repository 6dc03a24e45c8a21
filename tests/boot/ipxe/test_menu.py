"""Tests of `pixelboot.boot.ipxe.menu`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.ipxe.menu import LOCAL, SHELL, Entry, Menu, assigned_entry, make_entry, make_menu
from pixelboot.boot.seam import PLAIN, ContainerSettings


@dataclass(frozen=True)
class Shelved:
    """A container as the menu sees it."""

    id: str
    state: str = "ready"
    reason: str = ""
    size: int = 15_000_000
    name: str = ""
    description: str = ""
    distro: str = ""
    cmdline: str = ""
    parts: tuple[tuple[str, int], ...] = (("kernel", 10), ("initrd", 20))


def entry(container: Shelved, settings: ContainerSettings = PLAIN) -> Entry | None:
    """The entry of this container, for a boot loader that dislikes the word ``bad``."""
    return make_entry(container, settings, lambda made: "it is bad" if "bad" in made.cmdline else None)


class EntryTests(SynchronousTestCase):
    """What is offered."""

    def test_only_what_can_boot_is_offered(self) -> None:
        """A container needs a kernel, and nothing in its way; one that is still being decoded is welcome."""
        for container, offered in (
            (Shelved("b"), True),
            (Shelved("broken", state="damaged"), False),
            (Shelved("stranger", state="untrusted"), False),
            (Shelved("snapshot", state="unbootable"), False),
            (Shelved("soon", state="decoding"), True),
            (Shelved("disk", parts=(("disk", 5),)), False),
            (Shelved("bare", state="decoding", parts=()), False),
            (Shelved("hollow", state="decoding", parts=(("kernel", 0), ("initrd", 20))), False),
        ):
            self.assertEqual(entry(container) is not None, offered, container.id)
            self.assertIsNone(entry(container, ContainerSettings(enabled=False)), container.id)

    def test_what_its_maker_says(self) -> None:
        """It stands where the operator says nothing; its file's name, where its maker says nothing either."""
        made = entry(Shelved("b", name="Bee", description="A bee", distro="Debian", cmdline="quiet"))
        self.assertEqual(made, Entry("b", "Bee", 15_000_000, "Debian", "quiet", True, None, "A bee"))
        bare = entry(Shelved("a", parts=(("kernel", 10),)))
        self.assertEqual(bare, Entry("a", "a", 15_000_000, "", "", False, None))

    def test_empty_initrd(self) -> None:
        """It is none: iPXE must not be told to load it."""
        for size in (0, 1):
            made = entry(Shelved("a", parts=(("kernel", 10), ("initrd", size))))
            assert made is not None
            self.assertEqual(made.initrd, size > 0)

    def test_what_the_operator_says(self) -> None:
        """It wins; further arguments stand behind those of the container."""
        container = Shelved("b", name="Bee", description="A bee", cmdline="quiet")
        settings = ContainerSettings(name="Ours", description="Not a bee", order=-3, timeout=0.0, arguments="debug x=1")
        made = entry(container, settings)
        self.assertEqual(
            made, Entry("b", "Ours", 15_000_000, "", "quiet debug x=1", True, None, "Not a bee", order=-3, timeout=0.0)
        )

    def test_obstacle_is_kept(self) -> None:
        """An entry that cannot boot is shown, with the reason; the operator's arguments can be that."""
        for container, settings, reason in (
            (Shelved("x", cmdline="bad"), PLAIN, "it is bad"),
            (Shelved("x"), ContainerSettings(arguments="bad"), "it is bad"),
            (Shelved("x"), PLAIN, None),
        ):
            made = entry(container, settings)
            assert made is not None
            self.assertEqual(made.obstacle, reason)


class AssignedTests(SynchronousTestCase):
    """A container for one machine."""

    def assigned(self, found: Shelved | None, settings: ContainerSettings = PLAIN) -> Entry | str:
        """The container ``b`` for a boot loader that dislikes the word ``bad``."""
        return assigned_entry("b", found, settings, lambda made: "it is bad" if "bad" in made.cmdline else None)

    def test_bootable(self) -> None:
        """As menus have it, whether or not they offer it."""
        for settings in (PLAIN, ContainerSettings(enabled=False)):
            self.assertEqual(self.assigned(Shelved("b"), settings), entry(Shelved("b")))

    def test_not_bootable(self) -> None:
        """The reason is told."""
        for found, settings, why in (
            (None, PLAIN, "there is no container b"),
            (Shelved("b", "damaged", "it ends early"), PLAIN, "the container b is damaged: it ends early"),
            (Shelved("b", "unbootable"), PLAIN, "the container b is unbootable"),
            (Shelved("b", parts=(("disk", 5),)), PLAIN, "the container b has no kernel"),
            (Shelved("b"), ContainerSettings(arguments="bad"), "the container b cannot boot: it is bad"),
        ):
            self.assertEqual(self.assigned(found, settings), why)


class MenuTests(SynchronousTestCase):
    """What boots by itself."""

    DEMO = Entry("demo", "Demo", 1, "", "", True, None)

    def test_default(self) -> None:
        """A default that cannot boot is replaced by the local disk, and said to be."""
        bad = replace(self.DEMO, obstacle="it is bad")
        for found, asked, default, notice in (
            (None, LOCAL, LOCAL, None),
            (None, SHELL, SHELL, None),
            (self.DEMO, "demo", "demo", None),
            (None, "gone", LOCAL, "'gone' is not offered"),
            (bad, "demo", LOCAL, "'demo' cannot boot"),
            (None, "", LOCAL, "'' is not offered"),
        ):
            made = make_menu(found, asked, 10.0)
            self.assertEqual((made.default, made.timeout), (default, 10.0), asked)
            self.assertIn(notice or "", made.notice or "", asked)
            self.assertEqual(made.notice is None, notice is None, asked)

    def test_timeout(self) -> None:
        """That of the entry holds where it is the default, and 0 is one; if it cannot boot, the site's does."""
        for timeout, expected in ((None, 10.0), (0.0, 0.0), (2.5, 2.5)):
            made = make_menu(replace(self.DEMO, timeout=timeout), "demo", 10.0)
            self.assertEqual(made, Menu("demo", expected, None))
        self.assertEqual(make_menu(replace(self.DEMO, timeout=1.0, obstacle="x"), "demo", 10.0).timeout, 10.0)
