"""The training loop, its batches and losses, and weights that a student may begin with."""
