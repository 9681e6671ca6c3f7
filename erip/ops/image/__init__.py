"""The container image: which pins are in it (`pins`), how it is built (`build`, `workplace`), what is tried in it
(`whole`, `compiled`), what it holds (`archive`, `bill`) and must not hold (`holds`)."""
