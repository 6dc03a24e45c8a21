"""Who asks for a name: what it means may depend on that."""

from __future__ import annotations

from typing import NamedTuple

from pixelboot.hwaddr import HardwareAddress


class Asker(NamedTuple):
    """The machine that asks, as far as it is known."""

    hwaddr: HardwareAddress | None
    """Its network card; None where nobody has seen it get its address."""

    address: str
    """Its IP address as text; empty where nobody asks from the network."""


NOBODY = Asker(None, "")
"""No machine in particular."""
