"""Addresses of the console: how pages are linked to, and what is read from the address of a request."""
