"""What plugs into other people's software."""
