"""Who boots what: the one decision behind every protocol, and the scripts that carry it out.  Pure."""
