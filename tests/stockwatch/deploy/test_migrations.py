"""Migrations only add, so that programs of the version before can use the new tables (docs/operations/upgrades.md)."""

import pytest
from django.db.migrations import AddField, AddIndex, AlterModelOptions, CreateModel, Migration, RunPython
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import CharField, IntegerField
from django.db.models.fields import NOT_PROVIDED

ADDING = (AddIndex, AlterModelOptions, CreateModel, RunPython)
BEFORE_THE_RULE = {"feeds": "0007_missed_spans", "watchlist": "0008_delivery_targets"}
"""The last migration of each app before the first version with a tag."""


def follows_the_rule(operation: Operation) -> bool:
    """Returns whether a program that does not know the operation can still read and write the tables."""
    if isinstance(operation, AddField):
        return operation.field.null or operation.field.db_default is not NOT_PROVIDED
    return isinstance(operation, ADDING)


def newer_migrations() -> list[Migration]:
    disk = MigrationLoader(None).disk_migrations
    return [disk[app, name] for app, name in disk if name > BEFORE_THE_RULE.get(app, "9999")]


def test_migrations_only_add():
    assert [
        f"{migration}: {op}"
        for migration in newer_migrations()
        for op in migration.operations
        if not follows_the_rule(op)
    ] == []


def test_each_app_with_tables_has_the_rule():
    apps = {app for app, _ in MigrationLoader(None).disk_migrations}
    assert set(BEFORE_THE_RULE) == apps & {"feeds", "watchlist", "stockwatch"}


@pytest.mark.parametrize(
    ("field", "follows"),
    [(IntegerField(default=0), False), (IntegerField(db_default=0), True), (CharField(null=True), True)],
    ids=["a default of Django alone", "a default in the database", "may be null"],
)
def test_a_new_column_needs_a_value_that_the_database_itself_can_fill_in(field, follows: bool):
    assert follows_the_rule(AddField("ticker", "new", field)) is follows
