"""Security headers of the responses of Django."""
