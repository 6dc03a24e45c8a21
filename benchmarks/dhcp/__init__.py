"""How many machines a second get an address, and how soon: pixelboot beside Kea, dnsmasq and ISC dhcpd.

`run`       the command: what is measured of whom, in which order
`servers`   how each is set up, and leases on file in its own format
`stand`     two computers and a cable: a server of a namespace's own, its processes and what they take
`load`      the load: `load.c`, compiled when it is wanted, and perfdhcp
`peers`     Debian's packages of the others, unpacked and not installed, for they would start services
`report`    the tables and the bars
"""
