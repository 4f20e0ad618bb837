"""Files for edgeemo, which finds them itself: teachers, models of faces, real speech."""

__version__ = "0.1.0"  # that of edgeemo
