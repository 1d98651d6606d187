"""Live pages: streams of events, and what is looked for again for each kind of page."""
