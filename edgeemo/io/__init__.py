"""Files that are whole or absent, bounded loaders, and strict tables."""
