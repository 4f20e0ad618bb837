"""Pseudo-labels: a teacher labels each copy of each clip once; the rest is reading."""
