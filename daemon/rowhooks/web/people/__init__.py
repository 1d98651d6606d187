"""Who is logged in: the session, its cookie, and the person in whose name the database is asked."""
