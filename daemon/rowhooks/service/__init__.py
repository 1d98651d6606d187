"""What runs the process: what systemd is told, its units; the first process of a container."""
