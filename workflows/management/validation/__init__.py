"""Checking definitions in files, as `manage.py validate` does in CI.

checked  what is wrong with a file, and where
formats  how that is printed: for people, as SARIF, and for GitHub
"""
