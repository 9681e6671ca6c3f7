"""Security posture: which assets are exposed and which controls fall short."""
