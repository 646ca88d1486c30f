"""Tests of the client, signatures and parsers. They need no Django."""
