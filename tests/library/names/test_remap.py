"""Tests of `pixelboot.library.names.remap`: rules as tftpd-hpa has them."""

from __future__ import annotations

import warnings

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.names.components import LONGEST_NAME, Forbidden
from pixelboot.library.names.remap import parse, remapped
from pixelboot.malformed import Malformed

CASES: tuple[tuple[str, str, str], ...] = (
    ("r ^/?ipxe/ loaders/", "ipxe/a", "loaders/a"),
    ("r (a)(b)? [\\0\\1\\2]", "xay", "x[aa]y"),
    ("r [^a-z0-9./-] _", "a b c", "a_b c"),
    ("rg [^a-z0-9./-] -", "a b c", "a-b-c"),
    ("rgg a aa", "aba", "aabaa"),
    ("rgg b* x", "abc", "xaxcx"),
    ("ri ^BOOT boot", "Boot/x", "boot/x"),
    ("r ^BOOT boot", "Boot/x", "Boot/x"),
    ("r .* \\U\\0/\\L\\0/\\E\\0", "aB", "AB/ab/aB"),
    ("r ^(.*)$ \\i/\\x/\\1", "a", "192.0.2.169/C00002A9/a"),
    ("r x a\\ b\\#c\\\\d", "x", "a b#c\\d"),
    ("r a\\ b c", "a b", "c"),
    ("r a\\#b c # and what it is for", "a#b", "c"),
    ("r x", "axb", "ab"),
    ("  r\tx \t y  ", "x", "y"),
    ("r \\\\ /", "a\\b", "a/b"),
    ("r [\\] /", "a\\b", "a/b"),
    ("r [[:upper:][:digit:]_]+ x", "abC_9d", "abxd"),
    ("r []x] y", "a]", "ay"),
    ("r [^]x] y", "]a", "]y"),
    ("r [][] y", "a[", "ay"),
    ("r a$ b", "a\n", "a\n"),
    ("r ^pxelinux\\.bin\\S* pxelinux.bin", "pxelinux.bin\udcffz", "pxelinux.bin"),
    ("r \\<x\\> y", "ax x", "ax y"),
    ("P a", "a", "a"),
    ("6 a", "a", "a"),
    ("rP a b", "a", "a"),
    ("rG4 a b", "a", "b"),
    ("~a ^a", "a", "a"),
)

REFUSED: tuple[tuple[str, str], ...] = (
    ("a ^/etc", "a rule for names refuses it"),
    ("a ^(/etc) no\\ \\1\\ for\\ \\i", "no /etc for 192.0.2.169"),
    ("~a ^boot/", "a rule for names refuses it"),
    ("~a ^boot/ not\\ \\0this", "not this"),
    ("rg ^ x", "the rules for names do not come to an end with this one"),
    ("rs ^ x", "the rules for names do not come to an end with this one"),
    ("rs (.*) \\1\\1", "the rules for names make it too long"),
)

WRONG: tuple[tuple[str, str], ...] = (
    ("r", "there is no regular expression"),
    ("q a", "there is no operator 'q', only r g i e s a G P 4 6 ~"),
    ("rE a b", "the operator E is not known here"),
    ("r~ a b", "r and ~ exclude each other"),
    ("46r a b", "it never applies, for no request comes over IPv4 and IPv6: 4 and 6 exclude each other"),
    ("rPG a b", "it never applies, for no request both reads and writes: G and P exclude each other"),
    ("r a \\9", "\\9 stands for nothing: its regular expression has no groups in parentheses"),
    ("r (a) \\1\\2", "\\2 stands for nothing: its regular expression has 1 group in parentheses"),
    ("a (a)(b) no\\ \\3", "\\3 stands for nothing: its regular expression has 2 groups in parentheses"),
    ("g a", "g repeats a replacement"),
    ("r a b c", "there is something behind it: 'c'"),
    ("r (a b", "its regular expression cannot be read: "),
    ("r [[:letters:]] b", "its regular expression cannot be read: there is no class [:letters:]"),
    ("r a{99999999999999999999} b", "its regular expression cannot be read: "),
)


def remap(lines: str, name: str, address: str = "192.0.2.169", writing: bool = False) -> str:
    """What the rules in these lines make of a name."""
    rules = [rule for line in lines.splitlines() if (rule := parse(line)) is not None]
    return remapped(rules, name, address, writing)


class RuleTests(SynchronousTestCase):
    """One rule."""

    def test_cases(self) -> None:
        for line, name, expected in CASES:
            self.assertEqual(remap(line, name), expected, line)

    def test_time(self) -> None:
        """Expressions for which Python would take minutes are refused, and ordinary ones are not."""
        for expression in (
            *(r"^([a-z0-9]+[-.]?)+\.cfg$", "(a*)*b", "((ab)*c)*", "(a|b+)*c", "(a{1,99}b?)+", "(x{1,3})*", "(a|aa)+"),
            *(r"^(.|\\)*/$", "^((a|b)|(a|c))*$", "(a*){8}", "((a{1,8}){1,8}){2}", "(a?){99}", "((?:a|ab)b?)*"),
        ):
            error = str(self.assertRaises(Malformed, parse, f"r {expression} x"))
            self.assertIn("within a repetition, may take minutes", error)
        for expression in ("^.*a.*b.*c.*d", "([^/]*)a([^/]*)b(.*)c(.*)", "(a*)(b*)c*(d*|e)"):
            error = str(self.assertRaises(Malformed, parse, f"r {expression} x"))
            self.assertIn("three without bound are allowed", error)
        for expression in (
            *(r"^[a-z0-9.-]+\.cfg$", "(ab)*c", "a{2,4}", "([0-9a-f]{2}-){5}", "([0-9a-f]{2}[:-]?){6}", "(a|b)+(c|d)*"),
            *(
                "^/?(.*)/(.*)/(.*)$",
                "(.*/)?",
                "(/[^/]*){2}",
                "(efi|bios)?/(x|yy)?",
                r"(ab|cd){3}",
                r"^(a/)*(.*\.(efi|0))$",
            ),
        ):
            parse(f"r {expression} x")
        self.assertRaises(Forbidden, remapped, [rule for rule in [parse("r a b")] if rule], "n" * 300, "10.0.0.1")

    def test_refused(self) -> None:
        for line, reason in REFUSED:
            self.assertEqual(str(self.assertRaises(Forbidden, remap, line, "/etc/a")), reason, line)

    def test_wrong(self) -> None:
        """The reason is named."""
        for line, reason in WRONG:
            error = str(self.assertRaises(Malformed, parse, line))
            self.assertIn(reason, error)

    def test_no_rules(self) -> None:
        for line in ("", "   ", "# r a b", "\t#"):
            self.assertIsNone(parse(line), line)

    def test_directions(self) -> None:
        """Reading and writing, IPv4 and IPv6; who asks in a program has no address."""
        for line, ipv4, ipv6, writing, nobody in (
            ("rG a b", "b", "b", "a", "b"),
            ("rP a b", "a", "a", "b", "a"),
            ("r4 a b", "b", "a", "b", "b"),
            ("r6 a b", "a", "b", "a", "a"),
            ("r a [\\i|\\x]", "[10.0.0.1|0A000001]", f"[::1|{1:032X}]", "[10.0.0.1|0A000001]", "[|]"),
        ):
            got = remap(line, "a", "10.0.0.1"), remap(line, "a", "::1"), remap(line, "a", "10.0.0.1", True)
            self.assertEqual((*got, remap(line, "a", "")), (ipv4, ipv6, writing, nobody), line)


class RulesTests(SynchronousTestCase):
    """Several rules."""

    def test_order(self) -> None:
        """From the top; e ends it, s begins anew, and without them all have their turn."""
        self.assertEqual(remap("r a b\nr b c\nr c d", "a"), "d")
        self.assertEqual(remap("r a b\nre b c\nr c d", "a"), "c")
        self.assertEqual(remap("r b c\nrs a b\nr c d", "a"), "d")
        self.assertEqual(remap("e ^keep\nr .* x", "keep/a"), "keep/a")
        self.assertEqual(remap("~e ^other\nr .* x", "keep/a"), "keep/a")

    def test_the_example_of_syslinux(self) -> None:
        """What sites have for Windows' boot loader."""
        rules = "# backslashes\nrgg \\\\ /\nri ^/?boot/ Boot/\nr ^[^/] /\\0\n"
        self.assertEqual(remap(rules, "\\boot\\BCD"), "/Boot/BCD")

    @given(
        st.lists(st.text(st.sampled_from("rgiesaGP~46 ab()[]*+?\\^$#./{}1|-:"), max_size=14), max_size=4),
        st.text(st.sampled_from("ab/\\. \0\udcff"), max_size=12),
    )
    def test_anything(self, lines: list[str], name: str) -> None:
        """Any line is a rule, none, or malformed; any rules come to an end."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rules = []
            for line in lines:
                try:
                    rule = parse(line)
                except Malformed:
                    continue
                if rule is not None:
                    rules.append(rule)
            try:
                made = remapped(rules, name, "10.0.0.1")
            except Forbidden:
                return
        self.assertLessEqual(len(made), LONGEST_NAME)
