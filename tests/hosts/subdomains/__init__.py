"""A platform with a host and a schema for each customer (django-tenants), and JSON Web Tokens (simplejwt)."""
