"""The DHCPv4 server (RFC 2131, 2132): who asks, what address it gets, and how the answer reaches it."""
