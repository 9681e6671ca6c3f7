"""The views, by what they are about. Each reads the request, makes one call, and writes the answer."""
