import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("feeds", "0006_tape_source"),
    ]

    operations = [
        migrations.CreateModel(
            name="MissedSpan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                (
                    "tape",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="missed_spans", to="feeds.tape"
                    ),
                ),
            ],
        ),
    ]
