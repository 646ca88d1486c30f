"""Views: each takes a request, calls one service, and answers with a page."""
