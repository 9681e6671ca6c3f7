"""Legal obligations, their clocks and the readiness to meet them."""
