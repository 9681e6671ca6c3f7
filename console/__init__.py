"""The console: pages at /console for people who run the platform.

`viewers` says who looks, `shared` reads once for all of them, `pages` is the door of every page. `charts` draws
(Python, no Django), `core` works things out (the same), `views` has a file for each page. No table is its own: what
the pages change goes through the app that owns it.
"""
