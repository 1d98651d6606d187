"""Receivers' sessions and transactions, and what their login may do."""
