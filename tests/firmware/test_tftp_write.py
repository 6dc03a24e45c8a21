"""Files that the programs that people run leave on the server, where the settings allow it (T37)."""

from __future__ import annotations

import re
from pathlib import Path

from tests.firmware.test_tftp import LOSS, TftpCase

PROGRAMS = {
    "atftp": "atftp --put -l {local} -r dumps/{name} {server}",
    "atftp, windows": "atftp --option 'windowsize 16' --put -l {local} -r dumps/{name} {server}",
    "tftp-hpa": "tftp -m binary {server} -c put {local} dumps/{name}",
    "curl": "curl -sS --tftp-blksize 1468 -T {local} tftp://{server}/dumps/{name}",
    "busybox": "busybox tftp -p -l {local} -r dumps/{name} {server}",
    "busybox, blksize": "busybox tftp -p -b 1428 -l {local} -r dumps/{name} {server}",
}
"""How each program uploads a file."""

SETTINGS = 'tftp.write = [{ folder = "dumps", files = 1000, largest = "6 MB" }]\n'


class WriteTests(TftpCase):
    """A server that takes files in one folder."""

    def setUp(self) -> None:
        """Start it, and prepare a folder for what is uploaded."""
        super().setUp()
        self.dumps = self.root / "dumps"
        self.dumps.mkdir(mode=0o755)
        self.local = self.network.folder / "local"
        self.local.mkdir()
        self.log = self.start(SETTINGS)

    def octets(self, size: int) -> Path:
        """A new file of random octets at the client."""
        path = self.local / f"of{size}"
        path.write_bytes(self.chance.randbytes(size))
        return path

    def upload(self, programs: dict[str, str], files: list[Path], timeout: float) -> None:
        """Let all programs upload all files at once: each arrives as it is, and nothing else is left."""
        uploads = {}
        for what, command in programs.items():
            for file in files:
                name = f"{re.sub('[^a-z]+', '-', what)}-{file.name}"
                uploads[name] = file, self.run_program(command, local=file, name=name)
        for name, (file, process) in uploads.items():
            self.assertEqual(process.wait(timeout), 0, f"{name}:\n{process.tail()}\n{self.log.tail()}")
            self.assertTrue((self.dumps / name).read_bytes() == file.read_bytes(), f"{name} is not what was sent")
        self.assertEqual({path.name for path in self.dumps.iterdir()}, set(uploads))

    def test_sizes(self) -> None:
        """Files that end within a block, at its end and one octet later, and a large one."""
        self.plug()
        self.upload(PROGRAMS, [self.octets(size) for size in (1, 511, 512, 513, 3 * 1468, 3 * 1428, 1_000_000)], 60.0)

    def test_rollover(self) -> None:
        """More blocks than there are numbers, one at a time and in windows that lie across the end of the numbers."""
        self.plug()
        one = "atftp --option 'blksize 8' --put -l {local} -r dumps/{name} {server}"
        programs = {"in lock step": one, "in windows": one.replace(" --put", " --option 'windowsize 12' --put")}
        self.upload(programs, [self.octets(66_000 * 8)], 60.0)

    def test_loss(self) -> None:
        """A wire that loses one datagram in fifty each way.

        Without curl, which repeats what was lost after 15 s only; and atftp, without options, for with them it ends at
        a second OACK.
        """
        self.plug_wire(LOSS)
        programs = {what: PROGRAMS[what] for what in ("atftp", "tftp-hpa", "busybox", "busybox, blksize")}
        self.upload(programs, [self.octets(15_000)], 100.0)

    def test_netascii(self) -> None:
        """Lines end as they do here, whatever they did on the way (T05)."""
        self.plug()
        lines = (b"\n", b"\r", b"\r\n", b"\n\r", b"\r\r\n", b"text", b"a longer piece of text")
        file = self.local / "text"
        file.write_bytes(b"".join(self.chance.choices(lines, k=20_000)))
        self.upload({"tftp-hpa": "tftp -m netascii {server} -c put {local} dumps/{name}"}, [file], 20.0)

    def test_refused(self) -> None:
        """Each program says in its own words why not: elsewhere, too large, there already; nothing is changed."""
        self.plug()
        (self.dumps / "there").write_bytes(b"there")
        small, large = self.octets(100), self.octets(7_000_000)
        for code, status, file, name in ((2, 69, small, "absent/x"), (3, 70, large, "new"), (6, 73, small, "there")):
            for what, command in PROGRAMS.items():
                if name == "absent/x":
                    command = command.replace("dumps/", "")
                process = self.run_program(command, local=file, name=name)
                ended = process.wait(20.0)
                said = process.tail()
                if process.name == "curl":
                    self.assertEqual(ended, status, said)
                else:
                    words = {
                        "atftp": "error received from server <.+>",
                        "tftp": rf"Error code {code}: .+",
                        "busybox": rf"server error: \({code}\) .+",
                    }
                    self.assertRegex(said, words[process.name], what)
        self.assertEqual([(path.name, path.read_bytes()) for path in self.dumps.iterdir()], [("there", b"there")])
