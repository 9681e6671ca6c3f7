"""Loss quantification: FAIR by Monte Carlo."""
