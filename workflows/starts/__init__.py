"""From a request to start runs to a worker that may take them: versions, admission, precedence, dispatch, hand-over."""
