// The console's one script. Everything works without it.
