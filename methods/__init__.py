"""How to prune: a network goes in, a smaller network comes out."""
