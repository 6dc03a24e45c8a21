"""How fast files are, and how soon the first of them, over TFTP: pixelboot beside three servers in C, three in Python.

`run`        the command: what is measured of whom, in which order
`scenarios`  what is downloaded, by how many at a time, and how
`endure`     what pixelboot alone has to stand: 10,000 transfers at once, and a flood (`flood`)
`servers`    how each is set up
`stand`      a network of its own, a server's processes and what they take
`load`       the load: `load.c`, compiled when it is wanted
`peers`      the others, out of Debian's packages and PyPI's, which nothing here installs
`report`     the tables, the bars and the goals
"""
