"""A site with django-allauth: its users verify their e-mail addresses before they can log in."""
