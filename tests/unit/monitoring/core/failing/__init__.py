"""Code that really fails, for the tests of grouping. It is loaded from copies, as two releases on two machines."""
