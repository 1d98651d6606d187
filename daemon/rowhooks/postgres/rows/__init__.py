"""Users' rows as objects: mapping, keys, values, and why a row cannot be read or written."""
