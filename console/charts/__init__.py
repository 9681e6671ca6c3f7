"""Charts as SVG, made on the server: no script is needed to see them, and each has a table of its numbers beside it.

No chart has a style of its own: classes say what a shape is, the style sheet how that looks, in light and in dark.
Widths are percentages, so a chart fits any screen without its text being scaled.
"""
