"""What several askers wait for, or have open, at once: it is done, or opened, once for all of them."""
