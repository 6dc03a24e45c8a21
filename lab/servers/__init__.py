"""The servers that the lab boots machines from."""
