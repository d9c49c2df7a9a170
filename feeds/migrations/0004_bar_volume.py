from django.db import migrations, models

COVERED = '"open", high, low, "close", "count"'


def cover_key(covered):
    """Adds the columns that a chart reads to PostgreSQL's index of minutes, see migration 0002."""

    def alter(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute("ALTER TABLE feeds_minutebar DROP CONSTRAINT feeds_minutebar_pkey")
            schema_editor.execute(f"ALTER TABLE feeds_minutebar ADD PRIMARY KEY (id) INCLUDE ({covered})")

    return alter


class Migration(migrations.Migration):

    dependencies = [
        ("feeds", "0003_ticker_source"),
    ]

    operations = [
        migrations.AddField("minutebar", "volume", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("daybar", "volume", models.BigIntegerField(db_default=0, default=0)),
        migrations.RunPython(cover_key(f"{COVERED}, volume"), cover_key(COVERED)),
    ]
