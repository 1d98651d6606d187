"""Dispatch: groups of runs on their way between the leader and worker processes, in the database."""
