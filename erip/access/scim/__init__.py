"""People and groups as an identity provider has them: SCIM 2.0 (RFC 7643, RFC 7644) under /scim/v2.

Note [Provisioned people]
The protocol (messages, filters, PATCH, conditions, errors) is `scim2_server`'s and `scim2_models`'; here are what ERIP
keeps of a person and a group (`schemas`), and where it is kept (`people`, `groups`). An identity provider sees and
changes only those that it brought (`ScimUser`, `ScimGroup`): people and groups that were made here, superusers, grants,
keys and passwords are out of its reach, whatever it asks for.

It decides who is in its groups; who may grant decides what these groups may do. So it gives nobody more than somebody
here has granted to a group.

Whoever it sets inactive, or removes, is out at once: the sessions are ended, and no key of theirs opens anything, here
at once, in other processes within ERIP_API_KEY_CACHE_SECONDS. A person who was removed stays in the table, without
names and addresses, since the audit log and what they did name them: if the same userName comes again, it is the same
person.
"""
