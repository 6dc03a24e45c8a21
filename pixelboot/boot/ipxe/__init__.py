"""What iPXE is given to run: scripts and menus."""
