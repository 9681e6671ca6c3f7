"""Hot endpoints, answered without Django's middleware and REST framework's views.

Note [Light path]
Of a short run's time from request to outcome, middleware and views take more than its steps do. `app.Light` stands in
front of Django and answers the requests of `routes.ROUTES` itself. The view stays the one source of what is done and
said: both call the same functions, and the view's own parsers, permissions and scope hold. Whatever is not plainly a
request with an API key (a session, another method, a strange host, a header sent twice) goes the ordinary way, as does
everything where a middleware is installed that this package does not know (`middleware.COVERED`).

To add a route:

1. Put what the view does into a function of an `Incoming` request (`workflows.api.incoming`), which REST framework's
   Request and `LightRequest` both are: `headers`, `method`, `path`, `query_params`, `user`, `data` (read by the view's
   parsers) and, here, `body` (the bytes as they were sent). It raises what the view would raise; each error becomes the
   same problem.
2. Write `handle(request: LightRequest, **parameters: str) -> LightResponse`, which calls that function. It runs in a
   thread, and the connection that it used goes back to the pool behind it. Raise `NotLight`, before anything was
   changed, to let the view do it. Set `wait` on the answer to have it replaced by the finished run (`Prefer: wait`).
3. Add `Route(path, view, method, handle)` to `routes.ROUTES`; how large its body may be says `limits.body_limit`.
4. Add its requests, good and bad, to the table of `tests/integration/test_light_path.py`, which sends each both ways.
"""

from .messages import LightRequest, LightResponse, NotLight, Route

__all__ = ["LightRequest", "LightResponse", "NotLight", "Route"]
