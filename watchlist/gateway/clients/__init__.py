"""Lists and closes connections over all processes of all gateways, for `manage.py clients`."""
