"""The benchmark: what capture costs the writer, how fast the daemon drains a backlog, how soon a receiver starts."""
