"""Estimators of the values of a game's players; all are called as estimator(game, players, seed, …)."""
