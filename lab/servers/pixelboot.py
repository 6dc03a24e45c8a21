"""pixelboot itself, as it is run on any machine: ``twistd`` with a configuration file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from lab import CHECKOUT
from lab.container import PIXELBOOT
from lab.network.namespace import BRIDGE, NETWORK, SERVER_ADDRESS, Network
from lab.process import LabError, Process, Sink, run
from pixelboot.cli import channel
from pixelboot.site import load

NAME = "pixelboot"
"""The source of the lines of its log."""

LOG_LINE = r"^\S+ \[pixelboot\.(\w+)#(\w+)\] (.*)$"
"""One of pixelboot's own log lines: the part that speaks, the level, the text."""

_CONFIG = """\
state = "{state}"

[dhcp]
mode = "server"
interface = "{interface}"
port = {port}

[[dhcp.subnet]]
network = "{network}"
pool = ["{pool}"]
{router}lease_time = 600

[boot]
default = "demo"
timeout = 0.3

[http]
listen = "{listen}"
root = "{root}"
"""


def twistd(config: Path) -> list[str]:
    """The command line that runs the whole of pixelboot in the foreground, from the Python that runs the lab."""
    script = "from twisted.scripts.twistd import run; run()"
    return [sys.executable, "-c", script, "--nodaemon", "--pidfile=", "pixelboot", "--config", str(config)]


def network_config(state: Path, containers: Path) -> str:
    """The configuration for a server on the bridge of the lab's network."""
    return _CONFIG.format(
        state=state,
        interface=BRIDGE,
        port=67,
        network=NETWORK,
        pool="10.77.0.100-10.77.0.199",
        router=f'router = "{SERVER_ADDRESS}"\n',
        listen="tcp:8080",
        root=containers,
    )


def loopback_config(state: Path, containers: Path, dhcp_port: int, http_port: int) -> str:
    """The configuration for a server that needs no rights and that no other machine can reach."""
    return _CONFIG.format(
        state=state,
        interface="lo",
        port=dhcp_port,
        network="127.0.0.0/8",
        pool="127.77.0.100-127.77.0.199",
        router="",
        listen=f"tcp:{http_port}:interface=127.0.0.1",
        root=containers,
    )


class PixelbootServer:
    """A server in the lab's network that can be started, killed and started again on the same state."""

    def __init__(self, network: Network, containers: Path, sink: Sink | None = None, config: str | None = None) -> None:
        """Set a server up; `config` stands in for the usual configuration."""
        self.state = network.folder / "state"
        self.config = network.folder / "pixelboot.toml"
        self.config.write_text(config or network_config(self.state, containers))
        self._site = load(str(self.config), {}, {})
        self._network = network
        self._sink = sink

    def start(self) -> Process:
        """Start it and wait until it answers.

        :raises LabError: if it ends, or does not answer within 60 s.
        """
        process = self._network.server.start(
            NAME, *twistd(self.config), sink=self._sink, env={"PYTHONPATH": str(CHECKOUT)}
        )
        try:
            process.wait_for(r"\[pixelboot\.dhcp#info\] answering on", 60.0)
        except LabError:
            process.kill()
            raise
        return process

    def command(self, *words: str) -> str:
        """Run ``pixelboot WORDS`` on this server's state and return what it printed; see `lab.process.run`."""
        return run(*PIXELBOOT, *words, "--state", str(self.state))

    def status(self) -> Any:
        """What ``pixelboot status --json`` shows of this server.

        :raises pixelboot.malformed.Malformed: if it does not answer.
        """
        return channel.ask(self._site, "GET", "/api/v1/status")


def helpers(server: Process) -> dict[int, str]:
    """The running child processes of a server, by process id: their command lines."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    try:
        pids = [int(word) for word in children.read_text().split()]
    except OSError:
        return {}
    return {pid: _command_line(pid) for pid in pids}


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Whether there is a process of this id that has not ended, reaped or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
