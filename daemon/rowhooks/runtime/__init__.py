"""The running daemon: takes the lead, reads, executes and records until told to stop."""
