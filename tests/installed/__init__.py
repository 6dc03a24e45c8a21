"""pixelboot as it is installed and run: wheels, plugins, whole processes."""
