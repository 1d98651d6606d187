"""Buttons in other people's pages: `<rowhooks-buttons>` and the small endpoint that it speaks to.

`answers` makes the routes of the endpoint, for the console and for applications; it needs Starlette and no driver.
"""
