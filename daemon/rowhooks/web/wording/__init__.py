"""What values mean, in words for people. Pure."""
