"""Users' rows as objects: mapping, keys, values."""
