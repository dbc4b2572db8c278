"""Why a customer has a tier, and what other rules would change."""
