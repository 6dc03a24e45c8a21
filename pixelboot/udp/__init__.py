"""UDP sockets that know by which interface and at which address a datagram arrived."""
