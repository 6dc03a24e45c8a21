"""dnsmasq and nginx, set up by hand to do what pixelboot does: what its time to boot is compared with.

Option 175 (iPXE) carries sub-option 176 = 1, ``no-pxedhcp``: without it iPXE waits 3 s for a proxyDHCP server.
dnsmasq does not ping addresses before it offers them, so that nobody is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.needs import program
from lab.network.namespace import BRIDGE, SERVER_ADDRESS, Network
from lab.process import Sink

PORT = 8080
"""Where nginx listens, the same port as pixelboot's, so that one's scripts work with the other."""

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ }}
http {{
    sendfile on;
    tcp_nopush on;
    access_log /dev/stdout;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port};
        root {folder}/root;
    }}
}}
"""


def direct_script(cmdline: str) -> bytes:
    """An iPXE script that boots ``/kernel`` and ``/initrd`` at once, without a menu."""
    return f"#!ipxe\nkernel /kernel initrd=initrd {cmdline}\ninitrd --name initrd /initrd\nboot\n".encode()


@contextmanager
def serving(network: Network, files: Mapping[str, bytes], sink: Sink | None = None) -> Iterator[None]:
    """Serve `files` (path to octets; ``/boot.ipxe`` is what machines are told to boot) while the block lasts.

    :raises LabError: if a server does not start.
    """
    folder = network.folder / "reference"
    (folder / "root").mkdir(parents=True, exist_ok=True)
    for path, octets in files.items():
        target = folder / "root" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(octets)
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, address=SERVER_ADDRESS, port=PORT))
    _readable(folder)
    leases = folder / "leases"
    leases.unlink(missing_ok=True)
    with ExitStack() as stack:
        start = network.server.start
        web = stack.enter_context(
            start("nginx", program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(settings), sink=sink)
        )
        web.wait_for("built by|using the|start worker|OS:", 10.0)
        dhcp = stack.enter_context(start("dnsmasq", *_dnsmasq(leases), sink=sink))
        dhcp.wait_for("DHCP, IP range", 10.0)
        yield


def _dnsmasq(leases: Path) -> list[str]:
    return [
        program("dnsmasq"),
        *("--conf-file=/dev/null", "--keep-in-foreground", "--user=root", "--log-facility=-"),
        *("--port=0", f"--interface={BRIDGE}", "--bind-interfaces", "--no-ping", f"--dhcp-leasefile={leases}"),
        *("--dhcp-authoritative", "--dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,600"),
        f"--dhcp-option=option:router,{SERVER_ADDRESS}",
        "--dhcp-option-force=encap:175,176,01",
        f"--dhcp-boot=http://{SERVER_ADDRESS}:{PORT}/boot.ipxe,,{SERVER_ADDRESS}",
    ]


def _readable(folder: Path) -> None:
    """Let nginx's unprivileged user read the files, where it has one."""
    folder.parent.chmod(0o711)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
