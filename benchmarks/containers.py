"""How fast containers are packed and unpacked, and in how much memory, beside Pillow alone on the same picture.

    python -m benchmarks.containers [--size 64] [--runs 5]

Every run is a process of its own, the cases take turns, and the table shows medians.  The payload is random octets, as
kernels and initrds are compressed; Pillow saves the pixels that pixelboot would save, at the same settings, and loads
the same file.  "Hashing" are the two SHA-256 of every octet: its part's and the payload's.
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
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

MIB = 1 << 20

LIMIT = 1.6
"""What pixelboot may take of Pillow's time, hashing not counted."""

PAIRS = {
    "pillow-save": "Pillow saves the picture",
    "pack-only": "pixelboot packs, hashing not counted",
    "pack": "pixelboot packs",
    "pillow-load": "Pillow loads the picture",
    "unpack-only": "pixelboot unpacks, hashing not counted",
    "unpack": "pixelboot unpacks",
    "scatter": "the Hilbert step of packing",
    "gather": "the Hilbert step of unpacking",
}


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.containers", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=64, metavar="MIB", help="payload in MiB (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of every case (default: %(default)s)")
    parser.add_argument("--case", choices=PAIRS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.case:
        print(json.dumps(_measure(args.case, args.folder, args.size * MIB)))
        return 0
    found: dict[str, list[tuple[float, int]]] = {case: [] for case in PAIRS}
    with tempfile.TemporaryDirectory(prefix="pixelboot-benchmark-") as folder:
        _prepare(Path(folder), args.size * MIB)
        for run in range(args.runs):
            print(f"run {run + 1} of {args.runs} …", file=sys.stderr)
            for case in PAIRS:
                found[case].append(_in_a_process(case, folder, args.size))
    _print_table(found, args.size * MIB)
    return 0


def _prepare(folder: Path, size: int) -> None:
    with (folder / "payload").open("wb") as file:
        for start in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - start)))
    _in_a_process("pack", str(folder), size // MIB)
    (folder / "out").rename(folder / "picture")


def _in_a_process(case: str, folder: str, size: int) -> tuple[float, int]:
    command = [sys.executable, "-m", "benchmarks.containers", "--case", case, "--folder", folder, "--size", str(size)]
    seconds, peak = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return seconds, peak


def _measure(case: str, folder: Path, size: int) -> tuple[float, int]:
    """Seconds that the case took, and the peak of this process's memory in octets."""
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
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
    return seconds, peak


def _pillow_save(folder: Path, _size: int) -> Callable[[], object]:
    from PIL import Image

    from pixelboot.container.writer import COMPRESS_LEVEL

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(folder / "picture") as image:
        image.load()
    return lambda: image.save(folder / "out", "PNG", compress_level=COMPRESS_LEVEL)


def _pillow_load(folder: Path, _size: int) -> Callable[[], object]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    return lambda: Image.open(folder / "picture").load()


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
        with (folder / "picture").open("rb") as file, Path(os.devnull).open("wb") as out:
            reader.unpack(file, reader.examine(file), {"kernel": out})

    return work


def _unpack_only(folder: Path, _size: int) -> Callable[[], object]:
    from pixelboot.container import reader

    def work() -> None:
        with (folder / "picture").open("rb") as file, open(os.devnull, "wb") as out:
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


def _print_table(found: dict[str, list[tuple[float, int]]], size: int) -> None:
    print(f"{size // MIB} MiB, medians of {len(found['pack'])} runs; a ratio is to Pillow, at most {LIMIT} is wanted\n")
    print(f"{'':42} {'seconds':>8} {'MB/s':>7} {'ratio':>6} {'peak MiB':>9} {'of payload':>10}")
    base = 0.0
    for case, label in PAIRS.items():
        seconds = statistics.median(run[0] for run in found[case])
        peak = statistics.median(run[1] for run in found[case])
        base = seconds if case.startswith("pillow") else base
        ratio = "" if case in ("scatter", "gather") else f"{seconds / base:.2f}"
        speed = size / seconds / 1e6
        print(f"{label:42} {seconds:8.3f} {speed:7.0f} {ratio:>6} {peak / MIB:9.0f} {peak / size:9.2f}x")


if __name__ == "__main__":
    sys.exit(main())
