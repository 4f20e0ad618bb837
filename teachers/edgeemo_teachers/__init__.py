"""Files for edgeemo, which finds them itself: teachers, models of faces, real speech."""
