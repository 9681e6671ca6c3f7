"""The views, one file for each resource. Each reads the request, makes one call, and writes the answer."""
