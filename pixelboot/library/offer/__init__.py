"""What is on offer: every picture as it is known, the looks that find it, and its decoded parts."""
