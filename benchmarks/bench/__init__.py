"""make bench: what Shapley values cost here, and what one would use instead."""
