from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("feeds", "0005_bar_origin"),
    ]

    operations = [
        migrations.AddField("tape", "source", models.CharField(default="simulated", max_length=20)),
        migrations.AlterField("tape", "symbol", models.CharField(max_length=15)),
        migrations.AddConstraint(
            "tape", models.UniqueConstraint(fields=("symbol", "source"), name="one_tape_a_source")
        ),
        migrations.AddField("tape", "days_fetched_to", models.BigIntegerField(null=True)),
        migrations.AddField("tape", "minutes_fetched_to", models.BigIntegerField(null=True)),
    ]
