"""Receivers: the classes that users subclass, and how their modules are found, checked and registered."""
