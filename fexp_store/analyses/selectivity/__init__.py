"""Which units respond to one factor and not to the other, and how they are tuned."""
