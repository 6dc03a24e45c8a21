"""What the operator says of DHCP."""
