"""Settings of feature flags: django-waffle asks one table of ours, whichever of its three kinds it is asked about."""

# Before erip.access, whose table is made from one of its classes.
FLAG_APPS = ["erip.access.flags.library.WaffleConfig"]

WAFFLE_FLAG_MODEL = WAFFLE_SWITCH_MODEL = WAFFLE_SAMPLE_MODEL = "access.Flag"
WAFFLE_ENABLE_ADMIN_PAGES = False
# It has no tables of its own here.
MIGRATION_MODULES = {"waffle": None}
