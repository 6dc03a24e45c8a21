r"""Rules that rewrite names, in the language of tftpd-hpa's map file (tftpd(8), "Filename remapping").  Pure.

A rule is a line of up to three words: what to do, a regular expression, and what to put in the place of what it found.
White space and ``#`` part the words and begin a comment, unless a backslash stands before them.  Expressions are read
as POSIX's extended ones; where several alternatives fit, the first counts, and not the longest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from re import _parser as re_parser  # type: ignore[attr-defined]  # Its tree has no public face.
from typing import Any, Final

from pixelboot.library.names.components import LONGEST_NAME, Forbidden
from pixelboot.malformed import Malformed

MOST_STEPS = 256
"""Expressions tried on one name; rules that take more do not come to an end."""

LONGEST_MATCHED = 256
"""Characters of a name that rules are tried on: what an expression takes grows faster than the name."""

MOST_WAYS = 100_000
"""In how many ways a name may be cut into what an expression repeats: as many are tried out, in some milliseconds."""

MOST_WAYS_IN_ALL = 1e9
"""The same of all of an expression: three parts without bound behind each other, and some choices beside them."""

_REPEATS = (re_parser.MAX_REPEAT, re_parser.MIN_REPEAT, re_parser.POSSESSIVE_REPEAT)

OPERATORS: Final = "rgiesaGP46~"

_WORD = re.compile(r"(?:\\.|[^\\\s#])+\\?|\\", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)|([^\\]+|\\$)", re.DOTALL)

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\s", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_SPELLINGS: dict[str, Callable[[str], str]] = {"U": str.upper, "L": str.lower, "E": str}
_OUTSIDE = {"$": r"\Z", r"\<": r"\b(?=\w)", r"\>": r"\b(?<=\w)", r"\`": r"\A", r"\'": r"\Z"}
_BRACKET = re.compile(r"\[\^?\]?(?:\[:[a-z]*:\]|[^\]])*\]")
_PIECE = re.compile(rf"{_BRACKET.pattern}|\\.|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line."""

    operators: str
    """What it does when its expression is found; of `OPERATORS`."""

    expression: re.Pattern[str]
    """What is looked for, anywhere in the name."""

    replacement: str
    """What is put in its place, with escapes; of a refusal its text."""

    def applies(self, address: str, writing: bool) -> bool:
        """Whether it is one for who asks from `address`, and for this direction."""
        unmet = {"G": writing, "P": not writing, "4": ":" in address, "6": ":" not in address}
        return not any(unmet.get(operator) for operator in self.operators)


def parse(line: str) -> Rule | None:
    """The rule of one line; None of a line without one.

    :raises Malformed: with what is wrong about it.
    """
    words: list[str] = []
    rest = line.lstrip()
    while rest and rest[0] != "#":
        found = _WORD.match(rest)
        assert found is not None  # any character but those that are gone begins a word
        words.append(found[0])
        rest = rest[found.end() :].lstrip()
    if not words:
        return None
    operators, *others = words
    for operator in operators:
        if operator == "E":
            raise Malformed("the operator E is not known here: whether there is a file is asked after all rules")
        if operator not in OPERATORS:
            raise Malformed(f"there is no operator {operator!r}, only {' '.join(OPERATORS)}")
    if "r" in operators and "~" in operators:
        raise Malformed("what does not match cannot be replaced: r and ~ exclude each other")
    for one, other, what in (("4", "6", "comes over IPv4 and IPv6"), ("G", "P", "both reads and writes")):
        if one in operators and other in operators:
            raise Malformed(f"it never applies, for no request {what}: {one} and {other} exclude each other")
    if "g" in operators and "r" not in operators:
        raise Malformed("g repeats a replacement: it goes with r")
    if not others:
        raise Malformed("there is no regular expression")
    if len(others) > 2:
        raise Malformed(f"there is something behind it: {others[2][:40]!r}")
    flags = re.ASCII | re.DOTALL | (re.IGNORECASE if "i" in operators else 0)
    try:
        expression = re.compile(_in_python(others[0]), flags)
        ways = _ways(re_parser.parse(_in_python(others[0]), flags))
    except (re.error, OverflowError, RecursionError) as problem:
        raise Malformed(f"its regular expression cannot be read: {problem}") from None
    if ways > MOST_WAYS_IN_ALL:
        raise Malformed("so many repetitions may take minutes for one name; three without bound are allowed, as .*")
    replacement = others[1] if len(others) > 1 else ""
    for escaped, _ in _ESCAPE.findall(replacement):
        if escaped.isdecimal() and escaped.isascii() and int(escaped) > expression.groups:
            has = f"{expression.groups or 'no'} {'group' if expression.groups == 1 else 'groups'} in parentheses"
            raise Malformed(f"\\{escaped} stands for nothing: its regular expression has {has}")
    return Rule(operators, expression, replacement)


def _ways(parsed: Any, then: tuple[object, Any] | None = None) -> float:
    """In how many ways, at the most, a name can be cut into the parts of an expression.  Python tries them all out.

    `parsed` is Python's tree of it, and `then` what comes behind that.

    :raises Malformed: where they become more, by repetition, with every character of the name.
    """
    ways = 1.0
    for at, (operator, about) in enumerate(parsed, 1):
        after = parsed[at] if at < len(parsed) else then
        if operator in _REPEATS:
            least, most, body = about
            most = min(most, LONGEST_MATCHED)
            of_body = min(_ways(body), MOST_WAYS_IN_ALL)
            if most > 1 and of_body > 1 and most * math.log(of_body) > math.log(MOST_WAYS):
                raise Malformed(
                    "what may be there or not, or has alternatives or repetitions, within a repetition, may take "
                    "minutes for one name; say it with one repetition, as [a-z.]*"
                )
            if (
                after is not None
                and after[0] is re_parser.LITERAL
                and list(body) == [(re_parser.NOT_LITERAL, after[1])]
            ):
                continue  # It ends where the next part is, and nowhere else.
            ways *= of_body**most * (most - least + 1)
        elif operator is re_parser.BRANCH:
            ways *= sum(_ways(branch, after) for branch in about[1])
        else:
            for part in about if isinstance(about, tuple) else (about,):
                ways *= _ways(part, after) if isinstance(part, re_parser.SubPattern) else 1
    return ways


def remapped(rules: Sequence[Rule], name: str, address: str, writing: bool = False) -> str:
    """What the rules make of a name for who asks from `address`, an IP address as text.

    :raises Forbidden: where a rule says so, and when they come to no end.
    """
    if len(name) > LONGEST_MATCHED and rules:
        raise Forbidden("the name is too long for the rules")
    steps = MOST_STEPS
    at = 0
    while at < len(rules):
        rule = rules[at]
        at += 1
        if not rule.applies(address, writing):
            continue
        matched = False
        while True:
            steps -= 1
            if steps < 0:
                raise Forbidden("the rules for names do not come to an end with this one")
            found = rule.expression.search(name)
            if (found is None) != ("~" in rule.operators):
                break
            matched = True
            if "a" in rule.operators:
                said = _replaced(rule.replacement, found, address)
                raise Forbidden(said or "a rule for names refuses it")
            if found is None or "r" not in rule.operators:
                break
            name = _rewritten(rule, found, name, address)
            if len(name) > LONGEST_NAME:
                raise Forbidden("the rules for names make it too long")
            if rule.operators.count("g") != 1:
                break
        if matched and "e" in rule.operators:
            break
        if matched and "s" in rule.operators:
            at = 0
    return name


def _rewritten(rule: Rule, found: re.Match[str], name: str, address: str) -> str:
    """The name with what was `found` replaced; by ``gg`` with all that is found, as sed does it."""
    if rule.operators.count("g") < 2:
        return name[: found.start()] + _replaced(rule.replacement, found, address) + name[found.end() :]
    made, end, last = "", 0, -1
    for each in rule.expression.finditer(name):
        if each.end() != last:  # nothing right behind what was found is not found once more
            made += name[end : each.start()] + _replaced(rule.replacement, each, address)
            end = last = each.end()
    return made + name[end:]


def _replaced(replacement: str, found: re.Match[str] | None, address: str) -> str:
    """What stands in the place of what was `found`."""
    spell: Callable[[str], str] = str
    made = ""
    for escaped, plain in _ESCAPE.findall(replacement):
        if escaped in ("U", "L", "E"):
            spell = _SPELLINGS[escaped]
        elif escaped.isdecimal() and escaped.isascii():
            number = int(escaped)
            made += spell((found[number] or "") if found is not None else "")
        elif escaped == "i":
            made += address
        elif escaped == "x":
            made += ip_address(address).packed.hex().upper() if address else ""
        else:
            made += spell(escaped or plain)
    return made


def _in_python(expression: str) -> str:
    """A POSIX expression in the spelling of Python."""
    return "".join(
        _bracket(piece) if len(piece) > 1 and piece[0] == "[" else _OUTSIDE.get(piece, piece)
        for piece in _PIECE.findall(expression)
    )


def _bracket(piece: str) -> str:
    """A bracket expression; in POSIX's, a backslash is one, and there are named classes."""
    inside = piece[1:-1]
    negated, inside = ("^", inside[1:]) if inside.startswith("^") else ("", inside)
    made = ""
    for name, character in re.findall(r"\[:([a-z]*):\]|(.)", inside, re.DOTALL):
        if not character:
            if name not in _CLASSES:
                raise re.error(f"there is no class [:{name}:]")
            made += _CLASSES[name]
        else:
            made += character if character == "-" or character.isalnum() else re.escape(character)
    return f"[{negated}{made}]"
