"""What follows pruning: smaller weights, by factors, codebooks and integers."""
