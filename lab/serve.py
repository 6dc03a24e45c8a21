"""Run pixelboot without any rights, on loopback ports, with the demo's container: something to look at and to ask.

    python -m lab.serve [FOLDER]

Its state and its containers stay in the folder, ``.demo`` in the checkout if none is named; a Ctrl-C ends it.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from lab import CHECKOUT, container, needs
from lab.process import LabError
from lab.servers.pixelboot import loopback_config, twistd

DHCP_PORT = 6767
"""Where DHCP listens: port 67 would need root."""

TFTP_PORT = 6969
"""Where TFTP listens: port 69 would need root."""

HTTP_PORT = 8080
"""Where HTTP listens."""


def main() -> int:
    """Pack a container if there is none, say what there is to see, and become the server."""
    folder = Path(sys.argv[1]).resolve() if sys.argv[1:] else CHECKOUT / ".demo"
    containers = folder / "containers"
    if not (containers / f"{container.ID}.rts.png").exists():
        if missing := needs.missing(needs.PACKING):
            print("To pack the demo's container, these are missing here:", file=sys.stderr)
            for sentence in missing:
                print(f"  * {sentence}", file=sys.stderr)
            return 2
        print("Packing the demo's container …", flush=True)
        try:
            container.pack(containers)
        except LabError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    config = folder / "pixelboot.toml"
    config.write_text(loopback_config(folder / "state", containers, DHCP_PORT, TFTP_PORT, HTTP_PORT))
    url = f"http://127.0.0.1:{HTTP_PORT}"
    pixelboot, state = _command(), shlex.quote(_short(folder / "state"))
    print(
        f"""\
pixelboot on loopback: HTTP on port {HTTP_PORT}, TFTP on port {TFTP_PORT}, DHCP on port {DHCP_PORT}.  Something to see:

  what firmware is told to run first    curl {url}/boot.ipxe
  the menu of containers                curl {url}/menu.ipxe
  the same as JSON                      curl {url}/containers
  the picture, for a browser            {url}/files/{container.ID}.rts.png
  the kernel inside it                  curl -o kernel {url}/containers/{container.ID}/kernel
  the loader for UEFI by TFTP           curl -o snponly.efi tftp://127.0.0.1:{TFTP_PORT}/snponly.efi
  the same by HTTP                      curl -O {url}/loaders/snponly.efi
  how the server is                     {pixelboot} status --state {state}
  end it, as Ctrl-C does                {pixelboot} stop --state {state}

Its settings are in {_short(config)}; its log follows.
""",
        flush=True,
    )
    os.chdir(CHECKOUT)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    argv = twistd(["--config", str(config)])
    os.execv(argv[0], argv)


def _command() -> str:
    """How the command ``pixelboot`` is called from the checkout."""
    script = Path(sys.executable).with_name("pixelboot")
    if script.exists():
        return shlex.quote(_short(script))
    return f"{shlex.quote(_short(Path(sys.executable)))} -m pixelboot"


def _short(path: Path) -> str:
    """A path as it is written in the checkout's folder."""
    return str(path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path)


if __name__ == "__main__":
    sys.exit(main())
