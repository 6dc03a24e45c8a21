"""How fast containers are packed and unpacked, and in how much memory, beside Pillow alone on the same picture.

    python -m benchmarks.containers [--size 256] [--runs 5] [--only unpack,worker] [--check]

Every run is a process of its own, the cases take turns, and the table shows medians.  The payload is random octets, as
kernels and initrds are compressed; Pillow saves the pixels that pixelboot would save, at the same settings, and loads
the same file.  "Hashing" are the SHA-256 of the payload and of every part.  The decoder is the server's own process
(`pixelboot.library.decoding.work`), which hashes the picture as well, and writes and syncs what it decoded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

MIB = 1 << 20

PICTURE = "picture.rts.png"

CASES = {
    "pillow-save": "Pillow saves the picture",
    "pack-only": "pixelboot packs, hashing not counted",
    "pack": "pixelboot packs",
    "pillow-load": "Pillow loads the picture",
    "unpack-only": "pixelboot unpacks, hashing not counted",
    "unpack": "pixelboot unpacks",
    "worker": "the server's decoder decodes",
    "scatter": "the Hilbert step of packing",
    "gather": "the Hilbert step of unpacking",
}
"""What is measured; a case of pixelboot is compared with the last one of Pillow before it."""

GROUPS = {
    "pack": ("pillow-save", "pack-only", "pack"),
    "unpack": ("pillow-load", "unpack-only", "unpack"),
    "worker": ("worker",),
    "hilbert": ("scatter", "gather"),
}
"""What can be measured by itself."""

RATIOS = (("pack-only", "pillow-save", 1.6), ("unpack-only", "pillow-load", 1.6))
"""A case, what it is compared with, and how many times as long it may take at most."""

GOAL = 1.45
"""What unpacking should take of Pillow's time."""

SPEED = 700.0
"""Megabytes a second of the Hilbert step, at least."""

MEMORY = 2.5
"""Of the payload, how much memory the decoder may take at most."""

WHOLE = 256 * MIB
"""The payload, in octets, from which on that is judged."""

Found = Mapping[str, Sequence[tuple[float, int]]]
"""By case, for every run: seconds, and the peak of the process's memory in octets."""


def main(arguments: list[str] | None = None) -> int:
    """Print the table.  With ``--check`` the exit status is 1 when a bar is missed; 2 is for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.containers", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--size", type=int, default=WHOLE // MIB, metavar="MIB", help="payload in MiB (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of every case (default: %(default)s)")
    parser.add_argument("--only", type=_groups, default=list(GROUPS), help=f"some of {','.join(GROUPS)}")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.case:
        print(json.dumps(_measure(args.case, args.folder, args.size * MIB)))
        return 0
    cases = [case for case in CASES if any(case in GROUPS[group] for group in args.only)]
    found: dict[str, list[tuple[float, int]]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="pixelboot-benchmark-") as folder:
        _prepare(Path(folder), args.size * MIB)
        for run in range(args.runs):
            print(f"run {run + 1} of {args.runs} …", file=sys.stderr)
            # Everyone goes first in turn: what goes on beside the measurement has its own rhythm.
            turn = run % len(cases)
            for case in [*cases[turn:], *cases[:turn]]:
                found[case].append(_in_a_process(case, folder, args.size))
    print(table(found, args.size * MIB))
    failed = missed(found, args.size * MIB)
    print("\nMissed:" if failed else "\nEvery bar is met.", *failed, sep="\n  * ")
    return 1 if failed and args.check else 0


def _groups(words: str) -> list[str]:
    groups = words.split(",")
    if not set(groups) <= GROUPS.keys():
        raise argparse.ArgumentTypeError(f"choose some of {','.join(GROUPS)}, with commas")
    return groups


def missed(found: Found, size: int) -> list[str]:
    """What is slower or larger than it may be, as sentences; `size` is the payload's, in octets."""
    sentences = []
    for case, base, limit in RATIOS:
        if case in found and base in found and (ratio := _seconds(found[case]) / _seconds(found[base])) > limit:
            sentences.append(f"{CASES[case]}: {ratio:.2f} times as long as Pillow, at most {limit} is wanted")
    sentences += [
        f"{CASES[case]}: {speed:.0f} MB/s, at least {SPEED:.0f} are wanted"
        for case in GROUPS["hilbert"]
        if case in found and (speed := size / _seconds(found[case]) / 1e6) < SPEED
    ]
    # A small payload is nothing beside the interpreter.
    if size >= WHOLE and "worker" in found and (share := _peak(found["worker"]) / size) > MEMORY:
        sentences.append(f"{CASES['worker']}: in {share:.2f} times the payload, at most {MEMORY} is wanted")
    return sentences


def _seconds(runs: Sequence[tuple[float, int]]) -> float:
    return statistics.median(run[0] for run in runs)


def _peak(runs: Sequence[tuple[float, int]]) -> float:
    return statistics.median(run[1] for run in runs)


def table(found: Found, size: int) -> str:
    """The medians of all cases; `size` is the payload's, in octets."""
    runs = max(map(len, found.values()))
    packing, unpacking = (limit for _, _, limit in RATIOS)
    lines = [
        f"{size // MIB} MiB, medians of {runs} runs (least – greatest).  A ratio is to Pillow:",
        f"at most {packing} is wanted of packing, {unpacking} of unpacking, where {GOAL} is aimed at.",
        "",
        f"{'':40} {'seconds':>21} {'MB/s':>6} {'ratio':>5} {'peak MiB':>8} {'of payload':>10}",
    ]
    base: float | None = None
    for case, runs_of_case in found.items():
        seconds, peak = _seconds(runs_of_case), _peak(runs_of_case)
        base = seconds if case.startswith("pillow") else base
        ratio = f"{seconds / base:.2f}" if base and "pack" in case else ""
        least, greatest = min(runs_of_case)[0], max(runs_of_case)[0]
        told = f"{seconds:.2f} ({least:.2f} – {greatest:.2f})"
        lines.append(
            f"{CASES[case]:40} {told:>21} {size / seconds / 1e6:6.0f} {ratio:>5} {peak / MIB:8.0f} {peak / size:9.2f}x"
        )
    return "\n".join(lines)


def _prepare(folder: Path, size: int) -> None:
    with (folder / "payload").open("wb") as file:
        for start in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - start)))
    _in_a_process("pack", str(folder), size // MIB)
    (folder / "out").rename(folder / PICTURE)


def _in_a_process(case: str, folder: str, size: int) -> tuple[float, int]:
    command = [sys.executable, "-m", "benchmarks.containers", "--case", case, "--folder", folder, "--size", str(size)]
    seconds, peak = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return seconds, peak


def _measure(case: str, folder: Path, size: int) -> tuple[float, int]:
    """Seconds that the case took, and the peak of its process's memory in octets."""
    if case == "worker":
        return _worker(folder)
    work = {
        "pillow-save": _pillow_save,
        "pillow-load": _pillow_load,
        "pack": _pack,
        "pack-only": _pack_only,
        "unpack": _unpack,
        "unpack-only": _unpack_only,
        "gather": _gather,
        "scatter": _scatter,
    }[case](folder, size)
    started_at = time.perf_counter()
    work()
    seconds = time.perf_counter() - started_at
    return seconds, _memory(os.getpid())


def _memory(pid: int) -> int:
    """The peak of a process's memory, in octets: proc(5), VmHWM."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


def _worker(folder: Path) -> tuple[float, int]:
    """The server's decoder, as the server starts it, with a cache that knows nothing."""
    from pixelboot.library.decoding.cache import Cache
    from pixelboot.library.decoding.finding import Finding
    from pixelboot.library.decoding.order import READY, Ended, Order
    from pixelboot.library.folder.look import Seen, Stamp

    with tempfile.TemporaryDirectory(dir=folder) as cache:
        Cache(cache).prepare()
        seen = Seen(str(folder), PICTURE, Stamp.of((folder / PICTURE).stat()))
        command = [sys.executable, "-m", "pixelboot.library.decoding.work", cache]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as decoder:
            assert decoder.stdin is not None
            assert decoder.stdout is not None
            if decoder.stdout.readline().strip() != READY:
                raise RuntimeError("the decoder does not begin")
            started_at = time.perf_counter()
            decoder.stdin.write(Order("decode", seen).write())
            decoder.stdin.flush()
            last = Finding()
            while (line := decoder.stdout.readline()).startswith(b"["):
                last = Finding.read(line)
            seconds, peak, problem = time.perf_counter() - started_at, _memory(decoder.pid), Ended.read(line).problem
            decoder.stdin.close()
        if last.state != "ready" or problem is not None:
            raise RuntimeError(f"the decoder failed: {problem or last.reason}")
    return seconds, peak


def _pillow_save(folder: Path, _size: int) -> Callable[[], object]:
    from PIL import Image

    from pixelboot.container.writer import COMPRESS_LEVEL

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(folder / PICTURE) as image:
        image.load()
    return lambda: image.save(folder / "out", "PNG", compress_level=COMPRESS_LEVEL)


def _pillow_load(folder: Path, _size: int) -> Callable[[], object]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    return lambda: Image.open(folder / PICTURE).load()


def _pack(folder: Path, size: int) -> Callable[[], object]:
    from pixelboot.container import writer
    from pixelboot.container.manifest import Labels

    def work() -> None:
        with (folder / "payload").open("rb") as payload, (folder / "out").open("wb") as out:
            writer.pack(out, [writer.Source("kernel", size, payload)], Labels())

    return work


def _pack_only(folder: Path, size: int) -> Callable[[], object]:
    from pixelboot.container import writer

    digest = SimpleNamespace(update=lambda octets: None, hexdigest=lambda: "0" * 64)
    vars(writer)["hashlib"] = SimpleNamespace(sha256=lambda: digest)
    return _pack(folder, size)


def _unpack(folder: Path, _size: int) -> Callable[[], object]:
    from pixelboot.container import reader

    def work() -> None:
        with (folder / PICTURE).open("rb") as file, Path(os.devnull).open("wb") as out:
            reader.unpack(file, reader.examine(file), {"kernel": out})

    return work


def _unpack_only(folder: Path, _size: int) -> Callable[[], object]:
    from pixelboot.container import reader

    def work() -> None:
        with (folder / PICTURE).open("rb") as file, open(os.devnull, "wb") as out:
            for piece in reader.octets(file, reader.examine(file)):
                out.write(piece)

    return work


def _gather(_folder: Path, size: int) -> Callable[[], object]:
    import numpy as np

    from pixelboot.container import hilbert

    side = hilbert.side_for(size)
    grid = np.ones((side, side), np.uint32)
    stretch = np.ones(MIB // 4, np.uint32)

    def work() -> None:
        for first in range(0, size // 4, len(stretch)):
            hilbert.gather(grid, first, stretch)

    return work


def _scatter(_folder: Path, size: int) -> Callable[[], object]:
    import numpy as np

    from pixelboot.container import hilbert

    side = hilbert.side_for(size)
    grid = np.ones((side, side), np.uint32)
    stretch = np.ones(MIB // 4, np.uint32)

    def work() -> None:
        for first in range(0, size // 4, len(stretch)):
            hilbert.scatter(stretch, grid, first)

    return work


if __name__ == "__main__":
    sys.exit(main())
