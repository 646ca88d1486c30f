"""Presenters: each turns rows into the words that a page shows to the customer."""
