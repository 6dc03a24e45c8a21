"""Who asks for addresses: the programs that people run, and crowds of simulated machines.

`programs`  udhcpc, dhclient and dhcpcd, with one interface for the three
`message`   DHCP messages as simulated machines write and read them, by a codec that is not the product's
`load`      machines that boot, renew and leave again and again; what was promised to them
`crowd`     a thousand machines that are switched on at the same moment
`flood`     somebody who asks for addresses by MAC addresses that nobody has
"""
