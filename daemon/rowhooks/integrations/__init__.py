"""Integrations: plugins for other software."""
