"""A tiny annotation platform that shows how a site uses django_opentrain.

Nothing may be imported here: ``bootstrap`` runs before any package is installed.
"""
