"""What the command line reads and changes; rows come back as dictionaries. One module a subject."""
