"""Tests of `pixelboot.boot.ipxe.script`: the scripts are read again by the rules that iPXE reads them by."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.ipxe.arguments import COMMAND_LINE_LIMIT
from pixelboot.boot.ipxe.menu import LOCAL, SHELL, Entry, Menu
from pixelboot.boot.ipxe.script import (
    OWN_UUID,
    TITLE_LIMIT,
    Query,
    asking_script,
    boot_script,
    container_script,
    local_script,
    menu_frame,
    obstacle,
    shell_script,
    shown,
    write_entry,
)
from pixelboot.hwaddr import HardwareAddress

OURS = {"${pixelboot-waits}", "${selected}", "${platform}", "${netX/mac:hexhyp}", "${ip}"}
"""The settings that our scripts expand."""

DEMO = Entry("demo", "Demo", 14_200_000, "Debian 12", "console=ttyS0 quiet", True, None)

COMMANDS = {
    "boot", "chain", "choose", "dhcp", "echo", "exit", "goto", "imgfree", "initrd", "iseq", "isset", "item", "kernel",
    "menu", "prompt", "sanboot", "set", "shell",
}  # fmt: skip
"""The commands that our scripts use; all are in Debian's iPXE."""

NASTY = st.sampled_from(
    (
        "${net0/mac}",
        "$",
        "${",
        "$${x}",
        "||",
        "&&",
        ";",
        "#",
        "#!ipxe",
        "\n",
        "\r\n",
        "\\",
        "\\\n",
        ":local",
        "--",
        "-n",
        "chain",
        "\x00",
    )
)
TEXT = st.lists(NASTY | st.text(max_size=8) | st.sampled_from((" ", "\t")), max_size=8).map("".join)


def lines_of(script: str) -> list[list[list[str]]]:
    """Lines as iPXE reads them: each a list of commands, each a list of words; a label is a command of one word.

    Splits at LF, joins after a backslash, splits at white space, ends commands at ``||``, ``&&`` and ``;``, and the
    line at a word with ``#`` in front.
    """
    read: list[list[list[str]]] = []
    for line in re.sub(r"\\\r?\n", "", script).split("\n"):
        commands: list[list[str]] = [[]]
        for word in line.split():
            if word.startswith("#") and not (line.startswith("#!ipxe") and not read):
                break
            if word in ("||", "&&", ";"):
                commands.append([])
            else:
                commands[-1].append(word)
        read.append(commands)
    return read


def words_of(script: str) -> set[str]:
    """The first word of every command, without labels."""
    firsts = {command[0] for line in lines_of(script) for command in line if command}
    return {first for first in firsts if not first.startswith(":")} - {"#!ipxe"}


def labels_of(script: str) -> list[str]:
    """Every label, in order."""
    return [line[0][0][1:] for line in lines_of(script) if line[0] and line[0][0].startswith(":")]


def menu(*entries: Entry, default: str = LOCAL, timeout: float = 10.0, notice: str | None = None) -> str:
    """The script of a menu with these entries, their obstacles found."""
    written = [write_entry(replace(entry, obstacle=obstacle(entry))) for entry in entries]
    made = Menu(default, timeout, notice)
    before, between = menu_frame(made, offered=bool(written))
    return "".join([before, *(each.item for each in written), between, *(each.block for each in written)])


class BootScriptTests(SynchronousTestCase):
    """The first script."""

    def test_the_machine_travels_on(self) -> None:
        """The menu's URL is relative, which iPXE allows no colon in."""
        known = boot_script(Query(HardwareAddress.parse("02:AA:00:00:00:01")))
        self.assertIn("\nchain --replace --autofree menu.ipxe?mac=02-aa-00-00-00-01 || goto failed\n", known)
        self.assertIn(" menu.ipxe?mac=${netX/mac:hexhyp} ||", boot_script(Query()))

    def test_a_failure_is_tried_again(self) -> None:
        script = boot_script(Query())
        self.assertTrue(script.startswith("#!ipxe\n"))
        self.assertEqual(labels_of(script), ["menu", "failed", "shell"])
        self.assertIn("--timeout 10000", script)
        self.assertTrue(script.endswith("shell ||\ngoto menu\n"))
        self.assertLessEqual(words_of(script), COMMANDS)


CARD = HardwareAddress.parse("02:AA:00:00:00:01")
WHO = "mac=02-aa-00-00-00-01"
BASE = "http://10.77.0.1:8080/"


class AssignedScriptTests(SynchronousTestCase):
    """The first script of a machine that boots something of its own."""

    def check(self, script: str) -> None:
        """Every jump has its label, every label is one, and every command is known."""
        self.assertTrue(script.startswith("#!ipxe\n"))
        labels = labels_of(script)
        self.assertEqual(len(labels), len(set(labels)), script)
        self.assertLessEqual(set(re.findall(r"goto (\w+)", script)), set(labels), script)
        self.assertLessEqual(words_of(script), COMMANDS)
        self.assertLessEqual(set(re.findall(r"\$\{[^}]*\}?", script)), {*OURS, OWN_UUID})

    def test_every_script(self) -> None:
        for query in (Query(), Query(CARD), Query(CARD, OWN_UUID), Query(None, OWN_UUID), Query(CARD, "", BASE)):
            for script in (
                boot_script(query),
                boot_script(query, "no ${x} || y"),
                asking_script(query),
                asking_script(query, "once=t&boot=local"),
                container_script(DEMO, query),
                container_script(replace(DEMO, initrd=False, cmdline=""), query, "t"),
                local_script(query),
                shell_script(query),
            ):
                self.check(script)

    def test_container(self) -> None:
        """As the menu boots it; on failure the server is asked anew, and a person can have the menu."""
        script = container_script(DEMO, Query(CARD))
        for text in (
            "\nkernel containers/demo/kernel initrd=initrd console=ttyS0 quiet || goto failed\n",
            "\ninitrd --name initrd containers/demo/initrd || goto failed\nboot || goto failed\n:failed\n",
            f" && goto menu ||\nchain --replace --autofree boot.ipxe?{WHO} || goto failed\n:menu\n",
            f":menu\nchain --replace --autofree menu.ipxe?{WHO} || goto failed\n",
        ):
            self.assertIn(text, script)

    def test_fetched_from_elsewhere(self) -> None:
        """The network may not be up, and every URL is whole; else neither is so."""
        for script in (
            boot_script,
            asking_script,
            local_script,
            shell_script,
            lambda query: container_script(DEMO, query),
        ):
            far, near = script(Query(CARD, base=BASE)), script(Query(CARD))
            network = "isset ${ip} || dhcp || goto failed\n"
            self.assertEqual(far.count(network), 1)
            self.assertLess(far.index(network), far.index("chain "))
            self.assertEqual(far.replace(network, "").replace(BASE, ""), near)
            urls = r"(?:chain --replace --autofree|kernel|initrd --name initrd) (\S+)"
            self.assertTrue(all(url.startswith(BASE) for url in re.findall(urls, far)), far)

    def test_once(self) -> None:
        """The token comes back with the kernel alone; after a failure the same is tried again."""
        script = container_script(DEMO, Query(CARD), "0123abcd")
        self.assertIn("\nkernel containers/demo/kernel?once=0123abcd initrd=initrd console=ttyS0 quiet ||", script)
        self.assertEqual(script.count("0123abcd"), 1)
        self.assertIn("&& goto menu ||\ngoto boot\n", script)
        asking = asking_script(Query(CARD, "u"), "once=0123abcd&boot=local")
        self.assertIn(f"chain --replace --autofree boot.ipxe?{WHO}&uuid=u&once=0123abcd&boot=local ||", asking)

    def test_who_it_is(self) -> None:
        """iPXE says what we do not know."""
        self.assertIn(" boot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid} ||", asking_script(Query(None, OWN_UUID)))

    def test_local_disk(self) -> None:
        """As the menu does it."""
        disk = "iseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 ||\n"
        self.assertIn(f":boot\n{disk}:failed\n", local_script(Query(CARD)))
        self.assertIn(f":local\n{disk}goto failed\n", menu())

    def test_shell(self) -> None:
        self.assertIn("\nshell ||\ngoto menu\n", shell_script(Query(CARD)))

    def test_notice(self) -> None:
        """It is read before the menu comes; what is untrusted in it is text."""
        script = boot_script(Query(CARD), "it is ${gone}\n|| chain evil")
        told = "echo\necho pixelboot: it is $ {gone} (||) chain evil\nprompt --timeout 10000 "
        self.assertIn(told, script)
        self.assertLess(script.index(told), script.index(":menu"))

    @given(TEXT, TEXT)
    def test_nothing_can_be_injected(self, name: str, cmdline: str) -> None:
        """Whatever a container says, the script has the commands of a plain one, and expands nothing of it."""
        entry = Entry("demo", name, 5, "", cmdline, True, None)
        if obstacle(entry) is not None:
            return
        script = container_script(entry, Query(CARD), "t")
        self.assertTrue(script.isascii())
        plain = container_script(replace(entry, name="x", cmdline=""), Query(CARD), "t")
        shapes = [[[command[:1] for command in line] for line in lines_of(each)] for each in (script, plain)]
        self.assertEqual(*shapes)
        self.assertNotIn("${", script)


class MenuScriptTests(SynchronousTestCase):
    """The menu."""

    def test_entries(self) -> None:
        """Each container has an item, and a label with what loads it."""
        script = menu(
            DEMO, replace(DEMO, id="a b/ü", name="", size=312_000, distro="", initrd=False, cmdline=""), default="demo"
        )
        for text in (
            "item boot-demo Demo (14 MB, Debian 12)\n",
            "item boot-a%20b%2F%C3%BC ? (0.3 MB)\n",
            "item local Boot from the local disk\n",
            "item shell iPXE shell\n",
            "choose --default boot-demo --timeout 10000 selected || goto shell\ngoto ${selected}\n",
            ":boot-demo\necho pixelboot: starting Demo\nimgfree\n",
            "\nkernel containers/demo/kernel initrd=initrd console=ttyS0 quiet || goto failed\n",
            "initrd --name initrd containers/demo/initrd || goto failed\nboot || goto failed\n",
            "kernel containers/a%20b%2F%C3%BC/kernel || goto failed\nboot || goto failed\n",
        ):
            self.assertIn(text, script)
        self.assertLessEqual(words_of(script), COMMANDS)

    def test_every_goto_has_its_label(self) -> None:
        script = menu(DEMO, replace(DEMO, id="x", cmdline="a || b"), notice="look")
        labels = labels_of(script)
        self.assertEqual(len(labels), len(set(labels)))
        wanted = set(re.findall(r"goto ([\w-]+)", script)) | set(re.findall(r"^item (?!--)(\S+) ", script, re.M))
        self.assertLessEqual(wanted, set(labels))

    def test_the_default_counts_down_once(self) -> None:
        """After a failure, and after the shell, the menu waits for a person."""
        script = menu(DEMO, default="demo")
        self.assertIn("isset ${pixelboot-waits} && goto wait ||\n", script)
        self.assertIn(":wait\nchoose --default boot-demo selected || goto shell\n", script)
        for label in ("failed", "shell"):
            section = script.split(f"\n:{label}\n")[1].split("\n:")[0]
            self.assertIn("set pixelboot-waits yes\n", section, label)
            self.assertIn("goto menu", section, label)

    def test_timeout(self) -> None:
        """0 waits for ever; what iPXE cannot count is cut; a very short time does not become for ever."""
        for seconds, option in (
            (0.0, ""),
            (0.0001, " --timeout 1"),
            (2.5, " --timeout 2500"),
            (86400.0, " --timeout 4194000"),
        ):
            self.assertIn(f"choose --default shell{option} selected", menu(default=SHELL, timeout=seconds), seconds)

    def test_local_disk(self) -> None:
        """UEFI firmware is left in an error, so that it goes on with its boot order."""
        self.assertIn(":local\niseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 ||\n", menu())

    def test_what_the_person_is_told(self) -> None:
        self.assertIn("item --gap -- (there is none to boot)\n", menu())
        self.assertIn("item --gap -- The default is ($ {x}) gone?\n", menu(notice="The default is (${x})\ngone\u202e"))
        script = menu(replace(DEMO, cmdline="root=${net0/ip}"))
        self.assertIn("item boot-demo Demo (14 MB, Debian 12) - cannot boot\n", script)
        self.assertIn("echo -- its command line has $ {, which iPXE would replace.\ngoto failed\n", script)
        self.assertNotIn("\nkernel ", script)

    def test_description(self) -> None:
        """It stands behind the name, cut to what a screen of 80 columns shows; without room it is left out."""
        for name, description, title in (
            ("Demo", "For tests", "Demo - For tests (14 MB, Debian 12)"),
            ("Demo", " \n", "Demo (14 MB, Debian 12)"),
            ("Demo", "a || b\n${x}", "Demo - a (||) b $ {x} (14 MB, Debian 12)"),
            ("Demo", "word " * 30, f"Demo - {'word ' * 8}w... (14 MB, Debian 12)"),
            ("n" * 40, "For tests", "n" * 40 + " (14 MB, Debian 12)"),
        ):
            item = write_entry(replace(DEMO, name=name, description=description)).item
            self.assertEqual(item, f"item boot-demo {title}\n")
            self.assertLessEqual(len(title), TITLE_LIMIT)

    @given(TEXT, TEXT, TEXT, st.text(min_size=1, max_size=12), TEXT)
    def test_nothing_can_be_injected(self, name: str, distro: str, cmdline: str, id: str, notice: str) -> None:  # noqa: A002
        """Whatever a container says, the script has the lines, commands, labels and expansions of a plain one."""
        script = menu(DEMO, Entry(id, name, 5, distro, cmdline, True, None, name), notice=notice or "?")
        self.assertTrue(script.isascii())
        self.assertLessEqual(set(re.findall(r"\$\{[^}]*\}?", script)), OURS)
        labels = labels_of(script)
        bootable = "\nkernel containers/" in script.split(f"\n:{labels[-1]}\n")[-1]
        plain = menu(DEMO, replace(DEMO, id="x", cmdline="" if bootable else "#"), notice="?")
        self.assertEqual(labels[:-1], labels_of(plain)[:-1])
        self.assertTrue(labels[-1].startswith("boot-"))
        shape = [[command[:1] for command in line] for line in lines_of(script) if line[0][:1] != [f":{labels[-1]}"]]
        self.assertEqual(
            shape, [[command[:1] for command in line] for line in lines_of(plain) if line[0][:1] != [":boot-x"]]
        )


class ObstacleTests(SynchronousTestCase):
    """Which command lines arrive as they are."""

    def test_the_whole_line_counts(self) -> None:
        """What stands in front of it as well; the rules are those of `pixelboot.boot.ipxe.arguments`."""
        most = COMMAND_LINE_LIMIT - len("initrd=initrd ")
        for entry, reason in (
            (replace(DEMO, cmdline="x" * most), None),
            (replace(DEMO, cmdline="x" * (most + 1)), "its command line is longer than 2047 octets"),
            (replace(DEMO, cmdline="x" * COMMAND_LINE_LIMIT, initrd=False), None),
            (replace(DEMO, cmdline="a || b"), "its command line has the word ||, where iPXE would end it"),
        ):
            self.assertEqual(obstacle(entry), reason)

    @given(TEXT)
    def test_what_is_passed_arrives(self, cmdline: str) -> None:
        """The words that iPXE reads after the URL are the words that the kernel would have read."""
        entry = replace(DEMO, cmdline=cmdline)
        if obstacle(entry) is not None:
            return
        (line,) = (line for line in lines_of(menu(entry)) if line[0][:1] == ["kernel"])
        self.assertEqual(line[0][2:], ["initrd=initrd", *cmdline.split()])
        self.assertEqual(line[1:], [["goto", "failed"]])


class ShownTests(SynchronousTestCase):
    """Names for reading."""

    def test_table(self) -> None:
        cases = (
            ("Debian 12", "Debian 12"),
            ("Debian #2", "Debian (#2)"),
            ("a || b && c ; d", "a (||) b (&&) c (;) d"),
            ("a\r\nb\tc", "a b c"),
            ("${sleep}", "$ {sleep}"),
            ("$${x}", "$$ {x}"),
            ("C:\\", "C:/"),
            ("né\u202e\x1b[2J", "n???[2J"),
            ("", "?"),
            (" \n", "?"),
        )
        for text, expected in cases:
            self.assertEqual(shown(text, 40), expected, repr(text))

    def test_a_cut_makes_no_new_word(self) -> None:
        self.assertEqual(shown("a ||x", 4), "a (||)")
