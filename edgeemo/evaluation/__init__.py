"""Estimates against labels, and what a model costs on this machine."""
