from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("feeds", "0004_bar_volume"),
    ]

    operations = [
        migrations.AddField("daybar", "origin", models.SmallIntegerField(db_default=0, default=0)),
        migrations.AddField("minutebar", "origin", models.SmallIntegerField(db_default=0, default=0)),
        # The tapes that exist already have recorded bars, so that no past is written for them.
        migrations.AddField("tape", "has_past", models.BooleanField(default=True)),
        migrations.AlterField("tape", "has_past", models.BooleanField(default=False)),
        migrations.AddField("tape", "past_version", models.IntegerField(default=0)),
    ]
