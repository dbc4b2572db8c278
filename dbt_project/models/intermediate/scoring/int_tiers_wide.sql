-- Scores and levels of the dimensions, total, coverage and tier of every scheme, wide. A dimension's score is the sum
-- of indicator score x weight, a weighted scheme's the sum of dimension score x weight; the tier is the best one that
-- the score reaches and whose needs are met. Coverage is the share of the weight that was really measured.
{{ compiled(
    'tiers_wide',
    scores=ref('int_scores_wide'),
    neutral=ref('int_neutral_scores'),
    clusters=ref('int_dimension_clusters')
) }}
