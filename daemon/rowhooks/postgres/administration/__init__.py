"""What the command line reads and changes, one module for each subject. Rows are returned as dictionaries."""
