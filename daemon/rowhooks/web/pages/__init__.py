"""The pages: one module for each subject, with its `routes`. A page asks the database in one transaction."""
