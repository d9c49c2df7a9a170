"""`manage.py runserver`: Daphne's development server, which also serves `/ws`."""

# Imported here, so that INSTALLED_APPS does not need Daphne.
from daphne.management.commands.runserver import Command

__all__ = ["Command"]
