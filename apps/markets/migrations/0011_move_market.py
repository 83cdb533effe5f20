"""To move a market to another state is another right than to change its terms."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("markets", "0010_asset_classes"),)

    operations = (
        migrations.AlterModelOptions(
            name="market",
            options={"ordering": ("id",), "permissions": (("move_market", "Can open, halt and close markets"),)},
        ),
    )
