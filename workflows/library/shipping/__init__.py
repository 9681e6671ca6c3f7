"""What the library ships, kind by kind: how it stands to what is in the database, and how the shipped one is taken.

The author of a version tells whose it is. Obligations have no versions: for them the loader keeps a hash of what it
wrote (`LoadedReference.contents`), and a row with another content was changed by somebody. A row without such a hash,
loaded by an early release, is not known to be unchanged, and so it counts as changed.
"""
