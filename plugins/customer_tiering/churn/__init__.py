"""Churn: training sets over past cutoffs, models, their cards, and the promoted one as a table of the warehouse."""
