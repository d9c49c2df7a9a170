"""`manage.py runserver`: Daphne's development server, which also serves `/ws`.

The import makes the command available without adding Daphne to INSTALLED_APPS.
"""

from daphne.management.commands.runserver import Command

__all__ = ["Command"]
