"""Where the parts meet: from the settings of a site to the services that run.

=============  ======================================================================
``options``    the command lines of ``twistd pixelboot`` and of its parts
``examine``    whether this machine can serve the settings: folders, interfaces, endpoints
``parts``      every part opened and put together
``server``     what they are put together to
``loaders``    whether the loaders are there that the settings name
``twistd``     what is done only where the process is pixelboot's own
=============  ======================================================================

In somebody else's program the same is begun by `pixelboot.services`.
"""
