"""How weights of a scheme come about."""
