"""DHCPv4 (RFC 2131, 2132): who asks, what it gets, and how the answer reaches it.

Two services share it: `pixelboot.dhcp.server` gives out addresses, `pixelboot.dhcp.proxy` only says what to boot.
"""
