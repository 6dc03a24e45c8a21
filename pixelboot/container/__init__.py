"""The ``.rts.png`` container: a picture whose pixels are a kernel, an initrd and what else a machine boots from."""
