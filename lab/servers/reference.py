"""dnsmasq and nginx, set up by hand to do what pixelboot does: what its time to boot is compared with.

A machine is given what its firmware can run: iPXE the script, a BIOS and UEFI a loader by TFTP (dnsmasq's own), UEFI's
HTTP boot a loader by HTTP.  Option 175 (iPXE) carries sub-option 176 = 1, ``no-pxedhcp``: without it iPXE waits 3 s for
a proxyDHCP server.  dnsmasq does not ping addresses before it offers them, so that nobody is waited for.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.needs import LOADERS, program
from lab.network.namespace import BRIDGE, SERVER_ADDRESS, Network
from lab.process import Sink

PORT = 8080
"""Where nginx listens, the same port as pixelboot's, so that one's scripts work with the other."""

_BIOS_LOADER, _UEFI_LOADER = "undionly.kpxe", "snponly.efi"
"""The same that pixelboot gives to a BIOS and to UEFI."""

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

PLAIN = (
    *("--conf-file=/dev/null", "--keep-in-foreground", "--user=root", "--log-facility=-"),
    *("--port=0", "--bind-interfaces", "--no-ping"),
)
"""dnsmasq's options for nothing but what the others say: no file of settings, no DNS."""

POOL = "10.77.0.100,10.77.0.199"
"""The addresses that are given, first and last."""

_ARCHITECTURES = (("bios", 0), ("uefi", 7), ("uefi", 9), ("http", 16))
"""The codes of option 93 for x86 (RFC 4578 with its erratum, RFC 5970)."""


def direct_script(cmdline: str) -> bytes:
    """An iPXE script that boots ``/kernel`` and ``/initrd`` at once, without a menu."""
    return f"#!ipxe\nkernel /kernel initrd=initrd {cmdline}\ninitrd --name initrd /initrd\nboot\n".encode()


@contextmanager
def serving(network: Network, files: Mapping[str, bytes], sink: Sink | None = None) -> Iterator[None]:
    """Serve `files` (path to octets; ``/boot.ipxe`` is what machines are told to boot) while the block lasts.

    The loaders are served too, by TFTP and under ``/loaders``.

    :raises LabError: if a server does not start.
    """
    folder = network.folder / "reference"
    (folder / "root").mkdir(parents=True, exist_ok=True)
    for path, octets in files.items():
        target = folder / "root" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(octets)
    loaders = folder / "root" / "loaders"
    loaders.mkdir(exist_ok=True)
    for name in (_BIOS_LOADER, _UEFI_LOADER):
        shutil.copy(LOADERS / name, loaders)
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
        dhcp = stack.enter_context(start("dnsmasq", *_dnsmasq(leases, loaders), sink=sink))
        dhcp.wait_for("DHCP, IP range", 10.0)
        yield


def _dnsmasq(leases: Path, loaders: Path) -> list[str]:
    site = f"http://{SERVER_ADDRESS}:{PORT}"
    boot = {
        "ipxe": f"{site}/boot.ipxe",
        "bios,tag:!ipxe": _BIOS_LOADER,
        "uefi,tag:!ipxe": _UEFI_LOADER,
        "http": f"{site}/loaders/{_UEFI_LOADER}",
    }
    return [
        *(program("dnsmasq"), *PLAIN, f"--interface={BRIDGE}", f"--dhcp-leasefile={leases}"),
        *("--dhcp-authoritative", f"--dhcp-range={POOL},255.255.255.0,600"),
        *("--enable-tftp", f"--tftp-root={loaders}", f"--dhcp-option=option:router,{SERVER_ADDRESS}"),
        *("--dhcp-userclass=set:ipxe,iPXE", "--dhcp-option-force=tag:ipxe,encap:175,176,01"),
        *(f"--dhcp-match=set:{tag},option:client-arch,{code}" for tag, code in _ARCHITECTURES),
        "--dhcp-option-force=tag:http,option:vendor-class,HTTPClient",
        *(f"--dhcp-boot=tag:{tag},{file},,{SERVER_ADDRESS}" for tag, file in boot.items()),
    ]


def _readable(folder: Path) -> None:
    """Let nginx's unprivileged user read the files, where it has one."""
    folder.parent.chmod(0o711)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
