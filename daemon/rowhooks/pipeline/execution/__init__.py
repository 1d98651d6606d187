"""One run: life cycle, interruption, outcome and log."""
