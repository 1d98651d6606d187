"""What stands between a client and the pages: who asks, under which name, how much, and what an answer carries."""
