"""HTTP/1.1 messages: octets to values, and back.  Pure."""
