"""``pixelboot verify``: whether containers are what they say, and whose they are."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pixelboot.cli.picture.aside import STANDARD, explained
from pixelboot.cli.picture.ending import taken_back
from pixelboot.cli.picture.key import public_key
from pixelboot.cli.picture.progress import bar
from pixelboot.cli.picture.source import examined, opened, shown
from pixelboot.malformed import Malformed

Judgement = Literal["sound", "untrusted", "damaged", "unreadable"]

_STATUS: dict[Judgement, int] = {"damaged": 1, "unreadable": 4, "untrusted": 3, "sound": 0}
"""Exit statuses; of several files, the first of these that occurs.  2 is argparse's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is found out about one file."""

    file: str
    """Its name, as it was given."""

    verdict: Judgement
    """``sound``: every octet is what the description says.  ``untrusted``: sound, and not signed by a trusted key."""

    reason: str = ""
    """Why it is not sound, or not trusted; empty otherwise."""

    size: int | None = None
    """Octets of the payload; None where it could not be read."""

    sha256: str | None = None
    """SHA-256 of the payload, as computed, in lower-case hex; None where it could not be read."""

    compared: bool = False
    """Whether the description has a SHA-256 to compare anything with."""

    signer: str = ""
    """The public key, as 64 hex digits, whose signature covers payload and description; empty where there is none."""

    payload_signer: str = ""
    """The public key whose signature covers the payload alone; empty where there is none."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "verify",
        help="check containers to the last octet",
        description="Read containers wholly and compare every CRC, every SHA-256 and the signature.",
        epilog="Exit status: 0 all are sound; 1 one is damaged; 4 one cannot be read; 3 all are sound, and one is not "
        "signed by a trusted key.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a picture; - is standard input")
    parser.add_argument(
        "--trusted",
        type=_trusted,
        action="append",
        default=[],
        metavar="KEY",
        help="want a signature by this public key, or by another one that is given so: 64 hex digits, an ssh-ed25519 "
        "line, or a file with one of them or PEM",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, one object a line")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar, and no line for what is right")
    parser.set_defaults(run=run, misused=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Judge the files."""
    if arguments.files.count(STANDARD) > 1:
        arguments.misused("standard input can be read once")
    found: set[Judgement] = set()
    with taken_back():
        for name in arguments.files:
            verdict = judged(name, frozenset(arguments.trusted), arguments.quiet)
            found.add(verdict.verdict)
            if arguments.json:
                print(json.dumps(asdict(verdict)), flush=True)
            elif verdict.verdict != "sound" or not arguments.quiet:
                print(line(verdict), flush=True)
    return next(status for judgement, status in _STATUS.items() if judgement in found)


def _trusted(text: str) -> str:
    """A key, for argparse."""
    try:
        return public_key(text)
    except Malformed as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def judged(name: str, trusted: frozenset[str] = frozenset(), quiet: bool = True) -> Verdict:
    """Read one file wholly; unless `trusted` is empty, its signer must be in it."""
    from pixelboot.container import reader
    from pixelboot.container.table import Damaged

    try:
        with opened(name) as (_, file), explained(shown(name)):
            picture = examined(name, file)
            with bar(f"verifying {shown(name)}", quiet) as progress:
                unpacked = reader.unpack(file, picture, {}, progress=progress)
    except Damaged as damage:
        return Verdict(name, "damaged", str(damage))
    except Malformed as problem:
        return Verdict(name, "unreadable", str(problem).removeprefix(f"{shown(name)}: "))
    distrust = ""
    if trusted and unpacked.signer not in trusted:
        distrust = "not signed by a trusted key"
        if unpacked.payload_signer in trusted:
            distrust = "a trusted key has signed its payload, and not its description"
    manifest = picture.manifest
    return Verdict(
        name,
        "untrusted" if distrust else "sound",
        distrust,
        unpacked.size,
        unpacked.sha256,
        any(stated is not None for stated in (manifest.sha256, *(part.sha256 for part in manifest.parts))),
        unpacked.signer,
        unpacked.payload_signer,
    )


def line(verdict: Verdict) -> str:
    """The verdict for a person."""
    name = shown(verdict.file)
    if verdict.verdict == "damaged":
        return f"{name}: damaged: {verdict.reason}"
    if verdict.verdict == "unreadable":
        return f"{name}: cannot be read: {verdict.reason}"
    said = [f"{name}: sound", f"{verdict.size} octets"]
    if not verdict.compared:
        said.append("without a SHA-256 to compare with")
    if verdict.reason:
        said.append(verdict.reason)
    if verdict.signer:
        said.append(f"signed by {verdict.signer}")
    elif verdict.payload_signer:
        said.append(f"its payload, but not its description, signed by {verdict.payload_signer}")
    elif not verdict.reason:
        said.append("not signed")
    return ", ".join(said)
