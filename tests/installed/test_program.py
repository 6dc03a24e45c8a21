"""The whole program as it is run: ``twistd`` and its plugins, signals, daemon, and starts that fail."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from lab import CHECKOUT
from lab.process import Process
from tests.container.pictures import container
from tests.dhcp.captures import IPXE_DISCOVER
from tests.running import (
    FOREGROUND,
    PATIENCE,
    PIXELBOOT,
    TWISTD,
    ServerCase,
    command,
    free_udp_port,
    get,
    is_free,
    settings,
)


class ProcessTests(ServerCase):
    """The whole program, as it is run."""

    def begin_on(self, name: str, dhcp_port: int | None = None, listen: str = "tcp:0:interface=127.0.0.1") -> Process:
        """Begin to start a server on a folder of its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return self.begin("--config", settings(folder, dhcp_port, listen))

    def discover(self, port: int) -> None:
        """An iPXE asks for an address; it does not hear the answer, which goes to port 68."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(IPXE_DISCOVER, ("127.0.0.1", port))

    def test_life(self) -> None:
        """Started, used, started a second time in vain, and stopped by the control channel."""
        udp = free_udp_port()
        root = self.state / "containers"
        root.mkdir(parents=True)
        (root / "demo.rts.png").write_bytes(container({"kernel": b"kernel " * 9}, name="De\nmo\x1b[2J${x}"))
        process = self.start("--config", settings(self.folder, udp), ready="answering on lo, udp")
        second = self.begin("--state", self.state, "--http-listen", "tcp:0")
        http = self.port("http")
        self.discover(udp)
        process.wait_for("demo.rts.png is ready as demo", PATIENCE)
        boots = rf"boots http://127.0.0.1:{http}/boot"
        process.wait_for(rf"#info\] 52:54:00.* \(iPXE, bios\) offered 127\S+, {boots}", PATIENCE)
        self.assertEqual(get(http, "/containers/demo/kernel"), (200, b"kernel " * 9))
        process.wait_for(r"\[pixelboot\.http#info\] .*containers/demo/kernel", PATIENCE)
        self.assertEqual(self.refused(second), f"the state folder {self.state} is in use by process {process.pid}")

        status, out, error = command("status", "--config", self.folder / "site.toml")
        self.assertEqual((status, error), (0, ""))
        for line in (
            rf"pixelboot \S+, process {process.pid}, up \d+ ",
            rf"state in {self.state}",
            rf"  http +http://127.0.0.1:{http}/ +\d connections?, serves {root}",
            rf"  dhcp +lo udp {udp}, \d+ +as 127\.0\.0\.1",
            r"  dhcp server +.*0 of 100 addresses .*leased",
            r"  demo +ready +\d+ B  De.*mo.*\[2J\$\{x\}",
            r"  127\.0\.0\.\d+ +52:54:00:\S+ offered +until \d{4}-.*",
            r"  dhcp\.Offered +1",
        ):
            self.assertRegex(out, rf"(?m)^{line}")
        for line in out.splitlines():
            self.assertTrue(line.isprintable(), ascii(line))

        gone = self.watch(process)
        self.assertEqual(command("stop", "--state", self.state), (0, f"stopped process {process.pid}\n", ""))
        self.assertEqual(process.wait(0), 0, "the command returned before the server had ended")
        gone()
        self.ended_well(process, 0)
        self.assertTrue(is_free(http, socket.SOCK_STREAM) and is_free(udp, socket.SOCK_DGRAM))

    def test_serve(self) -> None:
        """``pixelboot serve`` is twistd in the foreground, without a pid file; Ctrl-C ends it in order."""
        program = [*PIXELBOOT, "serve"]
        process = self.start("--config", settings(self.folder), "--boot-default=shell", program=program)
        second = self.begin("--state", self.state, program=program)
        self.assertEqual(self.status()["pid"], process.pid)
        self.assertEqual(self.refused(second), f"the state folder {self.state} is in use by process {process.pid}")
        self.assertEqual(sorted(os.listdir(self.folder)), ["site.toml", "state"])
        process.send_signal(signal.SIGINT)
        self.ended_well(process, -signal.SIGINT)

    def test_killed_and_terminated(self) -> None:
        """A kill leaves a socket that the next start takes over; SIGTERM ends that one in order."""
        file = settings(self.folder, free_udp_port())
        first = self.start("--config", file, ready="answering on lo")
        gone = self.watch(first)
        first.kill()
        gone()
        self.assertTrue((self.state / "control").exists())
        second = self.start("--config", file, ready="answering on lo")
        self.assertEqual(self.status()["pid"], second.pid)
        gone = self.watch(second)
        second.send_signal(signal.SIGTERM)
        gone()
        self.ended_well(second, -signal.SIGTERM)

    def test_refused(self) -> None:
        """What is wrong at the start ends the program with status 1, one line, and no traceback."""
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            listen = f"tcp:{tcp.getsockname()[1]}:interface=127.0.0.1"
            udp.bind(("", free_udp_port()))
            begun = {
                f'http.listen = "{listen}": cannot be listened on: ': self.begin_on("http", listen=listen),
                f"dhcp.port = {udp.getsockname()[1]}: cannot be bound on lo: ": self.begin_on(
                    "dhcp", udp.getsockname()[1]
                ),
                "http.lisen = ": self.begin("--config", self.typing_error()),
            }
            for message, process in begun.items():
                line = self.refused(process)
                self.assertTrue(line.startswith(message), f"{line} does not start with {message}")

    def typing_error(self) -> Path:
        """A settings file with one."""
        file = self.folder / "wrong.toml"
        file.write_text('[http]\nlisen = "tcp:80"\n', encoding="utf-8")
        return file

    def test_damaged_leases(self) -> None:
        """They are set aside as they are, and said; who holds leases that could not be read is served all the same."""
        self.state.mkdir()
        leases = self.state / "leases.sqlite"
        leases.write_bytes(b"no leases" * 1000)
        process = self.start("--config", settings(self.folder, free_udp_port()), ready="answering on lo, udp")
        told = [line.text for line in process.lines if f"{leases} is damaged" in line.text]
        self.assertEqual(len(told), 1, process.tail())
        self.assertRegex(told[0], rf"#error\] CRITICAL: .* set aside as {leases}\.damaged-1$")
        self.assertEqual((self.state / "leases.sqlite.damaged-1").read_bytes(), b"no leases" * 1000)
        self.assertTrue(leases.read_bytes().startswith(b"SQLite format 3"))
        self.assertEqual(command("stop", "--state", self.state)[0], 0)
        self.assertEqual(process.wait(PATIENCE), 0, process.tail())

    def test_daemon(self) -> None:
        """In the background and another folder, all paths are those that were named, and it is known who serves."""
        elsewhere, pid, log = (self.folder / name for name in ("elsewhere", "pid", "log"))
        elsewhere.mkdir()
        near = [os.path.relpath(path, CHECKOUT) for path in (settings(self.folder, free_udp_port()), self.state)]
        self.addCleanup(self.kill_daemon, pid)
        starter = self.begin(
            *("--config", near[0], "--state", near[1]),
            program=[*TWISTD, f"--pidfile={pid}", f"--logfile={log}", f"--rundir={elsewhere}", "pixelboot"],
        )
        self.assertEqual(starter.wait(PATIENCE), 0, starter.tail())
        server = int(pid.read_text())
        self.assertEqual(self.status()["pid"], server)
        self.assertNotEqual(server, starter.pid)
        self.assertEqual(
            self.refused(self.begin("--state", self.state)),
            f"the state folder {self.state} is in use by process {server}",
        )
        self.assertEqual(command("stop", "--state", self.state), (0, f"stopped process {server}\n", ""))
        self.assertEqual(os.listdir(elsewhere), [])
        self.assertFalse(pid.exists())
        text = log.read_text(encoding="utf-8")
        self.assertRegex(text, r"Server Shut Down\.\s*\Z")
        self.assertNotIn("Traceback", text)

    def kill_daemon(self, file: Path) -> None:
        """End a daemon that the test did not end."""
        if file.exists():
            os.kill(int(file.read_text()), signal.SIGKILL)


class PartTests(ServerCase):
    """The plugins of one part."""

    def test_side_by_side(self) -> None:
        """Each serves its own and no other, from one settings file; DHCP sends machines to where HTTP is served."""
        udp, tcp, port = free_udp_port(), free_udp_port(), free_udp_port()
        file = settings(self.folder, udp, tftp_port=port)
        words = ["--config", file, "--state"]
        dhcp = self.begin(
            *words, self.folder / "d", "--http-listen", f"tcp:{tcp}", program=[*FOREGROUND, "pixelboot-dhcp"]
        )
        http = self.begin(
            *words,
            self.folder / "h",
            "--listen",
            f"tcp:{tcp}:interface=127.0.0.1",
            program=[*FOREGROUND, "pixelboot-http"],
        )
        tftp = self.begin(*words, self.folder / "t", program=[*FOREGROUND, "pixelboot-tftp"])
        tftp.wait_for(rf"answering on 127.0.0.1 udp {port}", PATIENCE)
        dhcp.wait_for("answering on lo, udp", PATIENCE)
        http.wait_for(r"starting up\.", PATIENCE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(IPXE_DISCOVER, ("127.0.0.1", udp))
        url = dhcp.wait_for(r"offered \S+, boots http://127.0.0.1:(\d+)(/boot.ipxe\S+)$", PATIENCE)
        self.assertEqual(int(url[1]), tcp)
        status, body = get(tcp, url[2])
        self.assertEqual((status, body[:6]), (200, b"#!ipxe"))
        parts = (("d", ["dhcp", "dhcp server"], dhcp), ("t", ["tftp"], tftp), ("h", ["http"], http))
        for folder, names, process in parts:
            state = self.folder / folder
            found = [each["name"] for each in self.status(state)["services"]]
            self.assertEqual(list(dict.fromkeys(found)), names)  # TFTP has a line for IPv6, too, where there is any.
            self.assertEqual(command("stop", "--state", state)[0], 0)
            self.assertEqual(process.wait(0), 0)
            self.quiet(process)
