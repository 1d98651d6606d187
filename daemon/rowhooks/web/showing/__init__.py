"""Parts of pages: lines of listings, histories, charts and facts, within the room that a page has for them."""
