"""Configuration files of the servers around ERIP, made from the templates in `deploy/`.

    python -m erip.ops.deploy INVENTORY.toml --out FOLDER [--ca FOLDER]        (also: manage.py render_deploy)

The local stack (`erip.ops.stack.ha`) renders the same templates with ports and passwords of its own. `nodes` says what
each template needs, `balancer` what HAProxy does with it, `inventory` reads a production site from TOML.
"""
