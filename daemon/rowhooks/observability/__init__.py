"""What is observed of the daemon: health, metrics, traces and logs."""
