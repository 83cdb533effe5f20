from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0007_circuit_breakers")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="max_order_lists",
            field=models.IntegerField(db_default=0, default=0, help_text="per account; 0: no limit"),
        ),
    ]
