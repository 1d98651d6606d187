"""What goes over many runs or changes for a page: acts in bulk, replays, and hooks that are tried."""
