"""What can be served: the containers of a folder, each decoded once by a process of its own, and cached."""
