"""Template tags: `{% load rowhooks %}`."""
