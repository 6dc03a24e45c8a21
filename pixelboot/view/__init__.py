"""What the operator sees and does: resources over the parts of a running server."""
