"""`manage.py doctor`: looks at a deployment, names what is wrong and says what to do about it."""
