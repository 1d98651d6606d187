"""Forms: who may send one, which fields it has, and what of its text is a value or a problem."""
