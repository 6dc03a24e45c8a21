"""The site as DHCP sees it: links, subnets, hosts and classes, and what of them concerns one request."""
