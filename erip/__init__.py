"""ERIP: the Django project. The workflows themselves live in the `workflows` app."""
