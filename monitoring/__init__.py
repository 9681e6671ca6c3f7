"""What watches the platform and adapts it: so far, the number of workers."""
