"""Where HTTP listens: endpoint strings, what they say, and the certificates of those that speak TLS."""
