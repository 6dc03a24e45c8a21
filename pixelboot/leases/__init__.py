"""Who holds which address, and until when: the leases of one node, and what a store of them must do."""
