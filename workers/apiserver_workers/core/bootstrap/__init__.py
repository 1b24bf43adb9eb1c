"""What a fresh server creates by itself, and what it keeps in being: the post-start hooks of the core server."""
