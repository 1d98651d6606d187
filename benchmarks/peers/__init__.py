"""Peers: queues for PostgreSQL that do the same work as rowhooks, measured on the same server in the same run."""
