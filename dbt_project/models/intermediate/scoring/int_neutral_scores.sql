-- The score that stands in for an unknown indicator, by its mean over the customers of the scheme for whom it is known
-- that night: unknown is neither good nor bad. Where few are known (neutral_min_customers) it is a set score.
{{ compiled('neutral_scores', scores=ref('int_scores_wide')) }}
