from django.db import migrations

# A frame of a coarser tier has four arrays. Beyond 2 kB PostgreSQL keeps them in another table, and looks them up there
# once for each value that a query takes out of one: most of what a query over 400 days cost.
IN_PLACE = "ALTER TABLE monitoring_frame SET (toast_tuple_target = 8160)"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0008_permissions")]

    operations = [migrations.RunSQL(IN_PLACE, "ALTER TABLE monitoring_frame RESET (toast_tuple_target)")]
