"""Files that clients leave here: the transfer, the folders they go to, and what brings both together."""
