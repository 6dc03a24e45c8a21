"""TFTP as it is used: by the programs that people run, by a thousand machines at once, over a wire that loses frames.

Tests name clauses: RFC 1350 (T01 to T12), 2347 to 2349 (T16 to T27), 7440 (T28 to T33).
"""

from __future__ import annotations

import random
import re
import resource
import shlex
from pathlib import Path

from lab import needs
from lab.needs import program
from lab.network import tftp_client, wire
from lab.network.namespace import BRIDGE, SERVER_ADDRESS, Namespace
from lab.network.tftp_client import Download
from lab.network.wire import Wire
from lab.process import Process
from tests.firmware.case import LabCase

PROGRAMS = {
    "atftp": "atftp --get -r {name} -l {target} {server}",
    "atftp, windows": "atftp --option 'blksize 1468' --option 'windowsize 16' --get -r {name} -l {target} {server}",
    "tftp-hpa": "tftp -m binary {server} -c get {name} {target}",
    "curl": "curl -sS --tftp-blksize 1468 -o {target} tftp://{server}/{name}",
    "curl, no options": "curl -sS --tftp-no-options -o {target} tftp://{server}/{name}",
    "busybox": "busybox tftp -g -r {name} -l {target} {server}",
    "busybox, blksize": "busybox tftp -g -b 1428 -r {name} -l {target} {server}",
}
"""How each program downloads a file."""

SIZE = 5_000_000
"""Octets of a large file, as a boot loader with all its drivers is."""

LOSS = 0.02
"""Of the datagrams in each direction, the share that the wire loses."""

DATA = b"\0\3"


class TftpCase(LabCase):
    """A test of a server that has files, and of a client in a namespace of its own."""

    programs = (*needs.NETWORK, "atftp", "tftp", "curl", "busybox")
    client: Namespace

    def setUp(self) -> None:
        """Prepare an empty tree and a chance that is the same every time."""
        super().setUp()
        self.root = self.network.folder / "tftp"
        self.root.mkdir()
        self.chance = random.Random(1350)
        self.targets = 0

    def start(self, settings: str = "") -> Process:
        """Start the server, with these settings too; at the test's end its log must be without a traceback."""
        config = f'state = "{self.network.folder}/state"\ntftp.root = "{self.root}"\n{settings}'
        log = self.running(self.serve(config=config).start())
        self.addCleanup(self._no_traceback, log)
        return log

    def _no_traceback(self, log: Process) -> None:
        wrong = [line.text for line in log.lines if re.search(r"Traceback|Unhandled|#critical", line.text)]
        self.assertEqual(wrong, [], log.tail(40))

    def file(self, name: str, size: int) -> Path:
        """A new file of random octets in the tree."""
        path = self.root / name
        path.write_bytes(self.chance.randbytes(size))
        return path

    def plug(self) -> None:
        """Give the client a cable to the bridge."""
        self.client = self._addressed(self.network.client())

    def plug_wire(self, loss: float = 0.0, twice: float = 0.0, from_server: str = "") -> Wire:
        """Give the client a wire to the bridge."""
        client, cable = wire.client(self.network.segment, loss=loss, twice=twice, seed=7440, from_server=from_server)
        self.client = self._addressed(client)
        self.enterContext(cable)
        return cable

    def _addressed(self, client: Namespace) -> Namespace:
        for number in range(10, 14):
            client.ip("address", "add", f"10.77.0.{number}/24", "dev", "eth0")
        return client

    def target(self) -> Path:
        """Where a program writes what it downloads: no such file is there yet."""
        self.targets += 1
        return self.network.folder / f"downloaded{self.targets}"

    def run_program(self, command: str, **words: object) -> Process:
        """Start a program at the client, with `words` in its command line."""
        first, *rest = shlex.split(command.format_map({"server": SERVER_ADDRESS, **words}))
        return self.running(self.client.start(first, program(first), *rest))

    def assert_whole(self, downloads: list[Download], size: int, what: str) -> None:
        """Every octet came to every client, from the address and the port it should."""
        wrong = [f"client {number}: {each.error}" for number, each in enumerate(downloads) if each.error]
        self.assertEqual(wrong[:5], [], f"{what}: {len(wrong)} of {len(downloads)} downloads failed")
        self.assertEqual({each.octets for each in downloads}, {size}, what)
        self.assertEqual(sum(each.strangers for each in downloads), 0, f"{what}: answers from elsewhere")

    def assert_downloaded(self, running: dict[str, tuple[Process, Path, Path]], timeout: float) -> None:
        """The programs end in time, and what each has written is what it asked for."""
        for what, (process, target, file) in running.items():
            self.assertEqual(process.wait(timeout), 0, f"{what}:\n{process.tail()}")
            self.assertTrue(target.exists(), f"{what}: nothing was written\n{process.tail()}")
            self.assertTrue(target.read_bytes() == file.read_bytes(), f"{what}: {file.name} is not what was sent")
            target.unlink()

    def download(self, programs: dict[str, str], files: list[Path], timeout: float) -> None:
        """Let all programs download all files at once."""
        self.assert_downloaded(self.begin(programs, files), timeout)

    def begin(self, programs: dict[str, str], files: list[Path]) -> dict[str, tuple[Process, Path, Path]]:
        """Let all programs begin to download all files: the processes, where they write, and what."""
        running = {}
        for what, command in programs.items():
            for file in files:
                target = self.target()
                process = self.run_program(command, name=file.name, target=target)
                running[f"{what}, {file.name}"] = (process, target, file)
        return running


class LossTests(TftpCase):
    """A wire that loses one datagram in fifty each way, or carries one in fifty twice (T10, T11, T15, T19)."""

    def _downloads(self, clients: int, windowsize: int, limit: float, loss: float = 0.0, twice: float = 0.0) -> float:
        """Let clients download a large file at once; how many datagrams the server sent for each block."""
        file = self.file("loader", SIZE)
        self.start()
        cable = self.plug_wire(loss, twice)
        downloads = tftp_client.download(
            self.client,
            *(SERVER_ADDRESS, file.name, file),
            clients=clients,
            blksize=1468,
            windowsize=windowsize,
            limit=limit,
        )
        self.assert_whole(downloads, SIZE, f"windowsize {windowsize}")
        self.assertEqual({each.windowsize for each in downloads}, {windowsize})
        # Who lost the answer and asks anew, while the first block of another at its address is not acknowledged for a
        # second, is given smaller blocks.
        smaller = sum(each.blksize < 1468 for each in downloads)
        self.assertLessEqual(smaller, 5 * loss * clients, f"{smaller} clients had smaller blocks than they asked for")
        to_server, from_server = cable.cut()
        for way, count in (("to the server", to_server), ("from the server", from_server)):
            self.assertEqual(count.refused, 0, f"{way} there was nobody to take all frames")
            for what, happened, share in (("lost", count.lost, loss), ("doubled", count.doubled, twice)):
                actual = happened / count.datagrams
                self.assertTrue(share / 2 <= actual <= share * 2, f"{way} the wire {what} {actual:.2%}")
        return from_server.datagrams / clients / (SIZE // 1468 + 1)

    def test_lock_step(self) -> None:
        """A hundred downloads at once, a block at a time, arrive whole; only what was lost is sent again."""
        self.assertLess(self._downloads(100, 1, limit=100.0, loss=LOSS), 1.1)

    def test_windows(self) -> None:
        """A hundred downloads at once, in windows of sixteen blocks, arrive whole (T28 to T30, T32).

        Those windows in which something was lost are sent from there on again, hardly more.
        """
        self.assertLess(self._downloads(100, 16, limit=60.0, loss=LOSS), 1.5)

    def test_duplicates_in_lock_step(self) -> None:
        """What comes twice is not answered twice: else all that follows would be doubled, to the end of the file."""
        self.assertLess(self._downloads(10, 1, limit=60.0, twice=LOSS), 1.02)

    def test_duplicates_in_windows(self) -> None:
        """In windows an ACK that comes twice may mean a loss, so some are sent again, but not more and more."""
        self.assertLess(self._downloads(10, 16, limit=60.0, twice=LOSS), 1.2)

    def test_programs(self) -> None:
        """The programs that people run arrive at the same, two of each at once.

        Without curl, when it asks for options: among them is a timeout of 6 s, and it gets that for every loss.  And
        atftp ends at any second OACK, though it has to come when the ACK of the first is lost (RFC 2347): who uses it
        on such a wire starts it again.
        """
        self.start()
        self.plug_wire(LOSS)
        programs = {what: command for what, command in PROGRAMS.items() if what != "curl"}
        running = self.begin(programs, [self.file(f"loader{number}", 60_000 + number) for number in range(2)])
        for _ in range(4):
            gave_up = {
                what: each
                for what, each in running.items()
                if what.startswith("atftp") and each[0].wait(100.0) and "unexpected OACK" in each[0].tail()
            }
            self.assert_downloaded({what: each for what, each in running.items() if what not in gave_up}, 100.0)
            running = {}
            for what, (_, _, file) in gave_up.items():
                running |= self.begin({what.rpartition(",")[0]: programs[what.rpartition(",")[0]]}, [file])
            if not running:
                return
        self.fail(f"again and again: {', '.join(running)}")

    def test_a_wrong_octet_is_seen(self) -> None:
        """The judge itself: one octet that a wire changes makes a download fail, and says where."""
        self.start()
        self.plug_wire(from_server="tests.firmware.test_tftp:change")
        file = self.file("loader", 100_000)
        [download] = tftp_client.download(self.client, SERVER_ADDRESS, file.name, file)
        self.assertEqual(download.error, "block 7, from octet 3072 on, is not as it should be")


class StormTests(TftpCase):
    """A whole building is switched on."""

    def test_thousand_at_once(self) -> None:
        """A thousand machines that ask at the same moment all get their file.

        The server is started with the limit on open files that service managers set.
        """
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        file = self.file("loader", 64 * 1024)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
        self.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.plug()
        sources = [f"10.77.0.{number}" for number in range(10, 14)]
        downloads = tftp_client.download(
            self.client,
            *(SERVER_ADDRESS, file.name, file),
            clients=1000,
            blksize=1432,
            sources=sources,
            limit=30.0,
        )
        self.assertEqual(len(downloads), 1000)
        self.assert_whole(downloads, 64 * 1024, "storm")


class RolloverTests(TftpCase):
    """Files of more blocks than there are numbers (T13, T33)."""

    def test_programs(self) -> None:
        """70,000 blocks of 512 octets arrive whole, whatever program asks."""
        self.start()
        self.plug()
        in_blocks_of_512 = {"atftp", "tftp-hpa", "curl, no options", "busybox"}
        programs = {what: command for what, command in PROGRAMS.items() if what in in_blocks_of_512}
        self.download(programs, [self.file("large", 70_000 * 512)], 100.0)

    def test_small_blocks(self) -> None:
        """70,000 blocks of 8 octets, in lock step and in windows that lie across the end of the numbers."""
        self.start()
        self.plug()
        file = self.file("large", 70_000 * 8)
        for windowsize in (1, 12):
            downloads = tftp_client.download(
                self.client, SERVER_ADDRESS, file.name, file, blksize=8, windowsize=windowsize
            )
            self.assert_whole(downloads, 70_000 * 8, f"windowsize {windowsize}")
            self.assertEqual([(each.blksize, each.windowsize) for each in downloads], [(8, windowsize)])


class ProgramTests(TftpCase):
    """The programs that people run."""

    def setUp(self) -> None:
        """Start a server with nothing in its tree yet, and prepare a client."""
        super().setUp()
        self.start()
        self.plug()

    def test_sizes(self) -> None:
        """Files that end within a block, at its end and one octet later (T02, T03)."""
        sizes = (0, 1, 511, 512, 513, 1428, 3 * 1428, 3 * 1468, 32 * 1468, SIZE)
        files = [self.file(f"of{size}", size) for size in sizes]
        for what, command in PROGRAMS.items():
            # curl takes no tsize of 0 for an answer.
            self.download({what: command}, files[what == "curl" :], 30.0)

    def test_missing(self) -> None:
        """Each says, in its own words, that there is no such file (T08)."""
        self._assert_said("1", 68, PROGRAMS)

    def test_writing(self) -> None:
        """Nothing can be written, and each says so (T37)."""
        commands = {
            "atftp": "atftp --put -r {name} -l {local} {server}",
            "tftp-hpa": "tftp -m binary {server} -c put {local} {name}",
            "curl": "curl -sS -T {local} tftp://{server}/{name}",
            "busybox": "busybox tftp -p -r {name} -l {local} {server}",
        }
        self._assert_said("2", 69, commands)
        self.assertEqual(list(self.root.iterdir()), [])

    def _assert_said(self, code: str, curl_status: int, commands: dict[str, str]) -> None:
        local = self.network.folder / "local"
        local.write_bytes(b"local\n")
        for what, command in commands.items():
            process = self.run_program(command, name="absent", target=self.target(), local=local)
            status = process.wait(20.0)
            said = "\n".join(line.text for line in process.lines)
            if process.name == "curl":
                self.assertEqual(status, curl_status, f"{what}: {said}")
            else:
                words = {
                    "atftp": "error received from server <.+>",
                    "tftp": rf"Error code {code}: .+",
                    "busybox": rf"server error: \({code}\) .+",
                }
                self.assertRegex(said, words[process.name], what)

    def test_netascii(self) -> None:
        """Line ends are translated on the way (RFC 764, page 11), also across the border of two blocks (T05)."""
        lines = (b"\n", b"\r", b"\r\n", b"\n\r", b"\r\r\n", b"\0", b"text", b"a longer piece of text")
        text = b"".join(self.chance.choices(lines, k=20_000))
        file = self.root / "text"
        file.write_bytes(text)
        programs = {
            "tftp-hpa": "tftp -m netascii {server} -c get {name} {target}",
            "atftp": "atftp --option 'mode netascii' --get -r {name} -l {target} {server}",
        }
        self.download(programs, [file], 20.0)
        translated = self.network.folder / "translated"
        translated.write_bytes(re.sub(rb"[\r\n]", lambda end: {b"\n": b"\r\n", b"\r": b"\r\0"}[end[0]], text))
        for blksize in (512, 1001):
            downloads = tftp_client.download(
                self.client, SERVER_ADDRESS, "text", translated, mode="netascii", blksize=blksize
            )
            self.assert_whole(downloads, translated.stat().st_size, f"blksize {blksize}")


class AddressTests(TftpCase):
    """A server with two addresses on one network."""

    def test_the_address_asked_answers(self) -> None:
        """Whichever is asked, the answers come from it (T01)."""
        second = "10.77.0.3"
        self.network.server.ip("address", "add", f"{second}/24", "dev", BRIDGE)
        self.start()
        self.plug()
        file = self.file("loader", 50_000)
        for address in (SERVER_ADDRESS, second):
            downloads = tftp_client.download(self.client, address, file.name, file, clients=5, windowsize=4, limit=20.0)
            self.assert_whole(downloads, 50_000, address)
            for what, command in PROGRAMS.items():
                target = self.target()
                process = self.run_program(command, name=file.name, target=target, server=address)
                self.assert_downloaded({f"{what} of {address}": (process, target, file)}, 20.0)


class PortTests(TftpCase):
    """Which port files are sent from."""

    def _ports(self, settings: str) -> set[int]:
        """Let simulated clients and all programs download, by a server with these settings; the ports that it used."""
        self.start(settings)
        self.plug()
        file = self.file("loader", 100_000)
        downloads = tftp_client.download(
            self.client, SERVER_ADDRESS, file.name, file, clients=20, blksize=1468, windowsize=4
        )
        self.assert_whole(downloads, 100_000, settings)
        self.download(PROGRAMS, [file], 20.0)
        return {each.port for each in downloads}

    def test_single_port(self) -> None:
        """All comes from the port that was asked, and no program minds."""
        self.assertEqual(self._ports("tftp.single_port = true\n"), {69})

    def test_data_ports(self) -> None:
        """All comes from one port of those that a firewall was told of (T01)."""
        self.assertEqual(self._ports('tftp.data_ports = "50007-50009"\n'), {50007})


def change(frame: bytes) -> bytes:
    """A frame hook that changes an octet in the middle of DATA 7, and leaves the checksum out (RFC 768)."""
    if frame[23] != 17 or frame[42:46] != DATA + b"\0\7":
        return frame
    return frame[:40] + b"\0\0" + frame[42:300] + bytes([frame[300] ^ 1]) + frame[301:]
