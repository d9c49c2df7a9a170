"""Lists and closes the connections of all gateway processes, for `manage.py clients`."""
