"""What to prune, how to measure it, how to report it."""
