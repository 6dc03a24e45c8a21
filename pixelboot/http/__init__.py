"""HTTP: what boots, handed out by RFC 9110 to the letter."""
