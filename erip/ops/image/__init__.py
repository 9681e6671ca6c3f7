"""The container image: which pins are in it (`pins`), how it is built (`build`, `whole`), what it holds (`archive`,
`bill`) and must not hold (`holds`)."""
