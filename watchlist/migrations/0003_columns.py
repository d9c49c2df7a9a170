from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("watchlist", "0002_versions_and_preferences"),
    ]

    operations = [
        migrations.AddField(
            "watchlist", "columns", models.CharField(blank=True, db_default="", default="", editable=False, max_length=200)
        ),
    ]
