"""What users subclass, and how their modules are found and registered."""
