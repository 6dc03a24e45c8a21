"""How fast files are, and how soon the first octet of them, over HTTP: pixelboot beside nginx, aiohttp, twisted.web.

`run`        the command: what is measured of whom, in which order
`scenarios`  what is downloaded, by how many connections, and how
`endure`     what pixelboot alone has to stand: machines that ask for addresses while much is downloaded
`servers`    how each is set up
`stand`      two computers and a cable, a server's processes and what they take
`files`      what is downloaded, of octets that tell where they belong
`load`       the load: `load.c`, compiled when it is wanted
`peers`      the others, out of Debian's packages and PyPI's, which nothing here installs
`report`     the tables, the bars and the goals
"""
