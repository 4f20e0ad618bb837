"""Recipes: TOML files that define a run completely, and the tables they consist of."""
