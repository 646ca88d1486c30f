"""A site as ``startproject`` makes it, for processes of its own: with the apps that ``SITE_APPS`` names."""
