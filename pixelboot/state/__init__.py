"""What must not be forgotten, and where it is kept: the state folder, and the leases in a database in it."""
