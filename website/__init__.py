"""The pages of the documentation site: those of the repository, and those that are made from the code."""
