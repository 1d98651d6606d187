"""What the API is given and what it answers, as models of pydantic."""
