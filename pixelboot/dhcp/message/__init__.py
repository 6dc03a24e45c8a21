"""The DHCP message: octets, options, and what the options say."""
