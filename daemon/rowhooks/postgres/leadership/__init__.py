"""The leader: its lock, its epoch, the bell."""
