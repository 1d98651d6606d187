"""From the log to a recorded result: one module an arrow of the way of a change."""
