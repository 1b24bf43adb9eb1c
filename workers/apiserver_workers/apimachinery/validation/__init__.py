"""Validation of built-in kinds: `objects.py` is where it begins, `kinds.py` the table of all kinds."""
