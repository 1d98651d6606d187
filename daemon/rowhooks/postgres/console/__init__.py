"""What the console asks of the database, always with the rights of the person who looks."""
