"""What the web process knows of HTTP before any application is asked."""
