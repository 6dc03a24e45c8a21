"""The lab: a real machine's firmware boots from a real server, in a network of its own.

Nothing here is part of the product or installed with it.  `make demo`, `make serve`, the tests under
``tests/firmware`` and ``benchmarks/boot_time.py`` are made of it:

``network``   namespaces, bridges, taps, routers; what only a network can do: capture, loss, router advertisements
``clients``   who asks for addresses: the programs that people run, and crowds of simulated machines
``machine``   what is booted, and the QEMU machine that boots it
``servers``   pixelboot; to compare it with, dnsmasq and nginx; dnsmasq as the DHCP server beside it; relay agents
"""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder the project was checked out into: the programs of the lab are started there."""
