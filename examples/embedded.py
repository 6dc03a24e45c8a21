"""A Twisted program of one's own that serves files by TFTP, with pixelboot: twistd -ny embedded.py."""

from twisted.application.service import Application
from twisted.internet import reactor

from pixelboot import services

application = Application("my program")
tftp = services.tftp(
    reactor,
    {
        "state": "/var/lib/my-program",
        "tftp": {"root": "/srv/tftp", "address": "127.0.0.1", "port": 6969},
    },
)
tftp.setServiceParent(application)
