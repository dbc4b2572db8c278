"""Weights of a scheme (AHP), and why a customer has its score."""
