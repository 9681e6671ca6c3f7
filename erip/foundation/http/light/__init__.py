"""Hot endpoints, answered without Django's middleware and REST framework's views.

Note [Light path]
For a short run, middleware and views take more of the time from request to outcome than its steps do. `app.Light`
stands in front of Django and answers the requests of its routes itself (`workflows.api.hot.ROUTES` and those of the
event bus). The view alone defines what is done and answered: both paths call the same functions, and the view's own
parsers, permissions and scope apply. Everything that is not plainly a request with an API key (a session, another
method, a strange host, a header sent twice) goes the ordinary way, and so does every request while a middleware is
installed that this package does not know (`middleware.COVERED`).

To add a route:

1. Put what the view does into a function of an `Incoming` request (`erip.foundation.http.incoming`). REST framework's
   Request and `LightRequest` both are one: `headers`, `method`, `path`, `query_params`, `user`, `data` (read by the
   view's parsers) and, here, `body` (the bytes as they were sent). It raises what the view would raise; each error
   becomes the same problem.
2. Write `handle(request: LightRequest, **parameters: str) -> LightResponse`, which calls that function. It runs in a
   thread, and its connection goes back to the pool afterwards. Raise `NotLight`, before anything was changed, to let
   the view do it. Set `wait` on the answer to replace it by a better one that comes in time (`Prefer: wait`).
3. Add `Route(path, view, method, handle)` to the app's routes; `limits.body_limit` says how large its body may be.
4. Add its requests, good and bad, to the table of `tests/integration/test_light_path.py`, which sends each both ways.
"""

from erip.foundation.http.light.messages import LightRequest, LightResponse, NotLight, Route

__all__ = ["LightRequest", "LightResponse", "NotLight", "Route"]
