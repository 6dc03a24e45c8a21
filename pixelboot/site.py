"""All settings of a site: the file named by ``--config``, the command line over it, the environment under it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pixelboot.boot.hosts import settled
from pixelboot.boot.settings import BootSettings
from pixelboot.config import build, override, section, setting, switch, tables, text
from pixelboot.dhcp.settings import fit
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.http.settings import HttpSettings
from pixelboot.library.settings import ContainersSettings
from pixelboot.malformed import Malformed
from pixelboot.tftp.settings import TftpSettings

STATE_VARIABLE = "PIXELBOOT_STATE"
"""The environment variable that names the state folder where neither file nor command line does."""

LARGEST_FILE = 1 << 20
"""Octets; no site needs a settings file of more."""


def _not_empty(path: str) -> None:
    if not path:
        raise Malformed("not empty")


@dataclass(frozen=True, slots=True)
class Site:
    """The settings of everything; each subject declares its own."""

    state: str = setting(
        text("a folder", _not_empty),
        "/var/lib/pixelboot",
        help="The folder of what must survive a restart: leases, decoded containers, the control socket.",
    )
    verbose: bool = setting(
        switch(),
        False,
        help="Also log what happens in every healthy boot and tells little, and every single line of those that are "
        "otherwise only counted after the first.",
    )
    boot: BootSettings = setting(section(BootSettings), help="What machines boot.")
    dhcp: DhcpSettings = setting(section(DhcpSettings), help="Addresses.")
    tftp: TftpSettings = setting(section(TftpSettings), help="Loaders.")
    http: HttpSettings = setting(section(HttpSettings), help="Scripts, kernels, pictures.")
    containers: ContainersSettings = setting(section(ContainersSettings), help="Pictures, and what is decoded of them.")
    host: tuple[HostSettings, ...] = setting(tables(HostSettings), (), help="Machines of which something is known.")

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders of the containers."""
        return self.http.root or (f"{self.state}/containers",)

    @property
    def control(self) -> str:
        """The Unix socket by which a running server is asked and told."""
        return f"{self.state}/control"


def load(file: str | None, words: Mapping[tuple[str, ...], str], environ: Mapping[str, str]) -> Site:
    """The settings of `file`, with the `words` of the command line in place of what it says.

    Raises `Malformed` (mostly `pixelboot.config.ConfigError`) with a text for the operator.
    """
    document = _parsed(file) if file is not None else {}
    if STATE_VARIABLE in environ:
        document.setdefault("state", environ[STATE_VARIABLE])
    for path, value in words.items():
        document = override(document, path, value)
    return read(document)


def read(document: Mapping[str, object]) -> Site:
    """The settings of a parsed TOML document; raises as `load` does."""
    site = build(Site, document)
    fit.hosts(site.dhcp, site.host)
    settled(site.host)
    # What runs the server may change its folder after this.
    roots = tuple(os.path.abspath(root) for root in site.http.root)
    tftp_root = os.path.abspath(site.tftp.root) if site.tftp.root else ""
    return replace(
        site,
        state=os.path.abspath(site.state),
        http=replace(site.http, root=roots),
        tftp=replace(site.tftp, root=tftp_root),
    )


def _parsed(file: str) -> dict[str, object]:
    try:
        with open(file, "rb") as opened:
            octets = opened.read(LARGEST_FILE + 1)
    except OSError as problem:
        raise Malformed(f"--config {file}: {problem.strerror}") from None
    if len(octets) > LARGEST_FILE:
        raise Malformed(f"--config {file}: more than {LARGEST_FILE} octets are no settings file")
    try:
        return tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as problem:  # both of tomllib's errors and of the decoder's are ValueError
        raise Malformed(f"--config {file}: not TOML: {problem}") from None
