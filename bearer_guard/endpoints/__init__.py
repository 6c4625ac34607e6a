"""HTTP faces of the issuing side and of the guard, each mountable alone."""
