"""Pictures and video, and what a face model takes of them."""
