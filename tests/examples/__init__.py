"""The three receivers of Nautobot's documentation of job extensions, with only their import lines changed."""
