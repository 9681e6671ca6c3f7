"""How the admin writes times. Django takes formats from such a package before its own of the language."""
