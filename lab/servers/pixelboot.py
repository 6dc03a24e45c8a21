"""pixelboot itself, as it is run on any machine: ``twistd`` with a configuration file, or with next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lab import CHECKOUT, container
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
default = "{default}"
timeout = 0.3
{loaders}
[tftp]
address = "{address}"
port = {tftp_port}

[http]
listen = "{listen}"
root = "{root}"
"""


def twistd(options: Sequence[str]) -> list[str]:
    """The command line that runs the whole of pixelboot in the foreground, from the Python that runs the lab."""
    script = "from twisted.scripts.twistd import run; run()"
    return [sys.executable, "-c", script, "--nodaemon", "--pidfile=", "pixelboot", *options]


def network_config(
    state: Path, containers: Path, loaders: Mapping[str, str] | None = None, default: str = container.ID
) -> str:
    """The configuration for a server on the bridge of the lab's network.

    `loaders` are of ``[boot.loaders]``, and `default` is the id of the container that boots by itself.
    """
    return _CONFIG.format(
        default=default,
        loaders="".join(f'loaders.{key} = "{name}"\n' for key, name in (loaders or {}).items()),
        address="0.0.0.0",
        tftp_port=69,
        state=state,
        interface=BRIDGE,
        port=67,
        network=NETWORK,
        pool="10.77.0.100-10.77.0.199",
        router=f'router = "{SERVER_ADDRESS}"\n',
        listen="tcp:8080",
        root=containers,
    )


def loopback_config(state: Path, containers: Path, dhcp_port: int, tftp_port: int, http_port: int) -> str:
    """The configuration for a server that needs no rights and that no other machine can reach."""
    return _CONFIG.format(
        default=container.ID,
        loaders="",
        address="127.0.0.1",
        tftp_port=tftp_port,
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

    def __init__(
        self,
        network: Network,
        containers: Path,
        sink: Sink | None = None,
        config: str | None = None,
        is_configured: bool = True,
    ) -> None:
        """Set a server up; `config` stands in for the usual configuration.

        One that is not configured is told where its containers and its state are, and what boots by itself, for
        nobody sits at the machine; with pixelboot's own settings it is a proxy beside another DHCP server.
        """
        self.state = network.folder / "state"
        if is_configured:
            file = network.folder / "pixelboot.toml"
            file.write_text(config or network_config(self.state, containers))
            self.options = ["--config", str(file)]
            self._site = load(str(file), {}, {})
        else:
            words = {("http", "root"): str(containers), ("state",): str(self.state)}
            words |= {("boot", "default"): container.ID, ("boot", "timeout"): "0.3"}
            self.options = [word for path, value in words.items() for word in (f"--{'-'.join(path)}", value)]
            self._site = load(None, words, {})
        self._network = network
        self._sink = sink

    def start(self, env: Mapping[str, str] | None = None) -> Process:
        """Start it, with `env` added to its environment, and wait until it answers.

        :raises LabError: if it ends, or does not answer within 60 s.
        """
        process = self.begin(env)
        try:
            process.wait_for(r"\[pixelboot\.dhcp#info\] answering on", 60.0)
        except LabError:
            process.kill()
            raise
        return process

    def begin(self, env: Mapping[str, str] | None = None) -> Process:
        """Begin to start it, with `env` added to its environment."""
        words = {"PYTHONPATH": str(CHECKOUT), **(env or {})}
        return self._network.server.start(NAME, *twistd(self.options), sink=self._sink, env=words)

    def command(self, *words: str) -> str:
        """Run ``pixelboot WORDS`` on this server's state and return what it printed; see `lab.process.run`."""
        return run(*PIXELBOOT, *words, "--state", str(self.state))

    def status(self) -> Any:
        """What ``pixelboot status --json`` shows of this server.

        :raises pixelboot.malformed.Malformed: if it does not answer.
        """
        return channel.ask(self._site, "GET", "/api/v1/status")


class Running(Protocol):
    """A server's process, whoever started it."""

    @property
    def pid(self) -> int:
        """Its process id."""


def helpers(server: Running) -> dict[int, str]:
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
