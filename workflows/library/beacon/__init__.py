"""Reports and the links that share them."""
