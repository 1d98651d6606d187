"""systemd: what the service manager is told, and the units."""
