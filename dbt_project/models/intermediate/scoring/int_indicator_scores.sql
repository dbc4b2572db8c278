-- Why a customer has its score, as rows: per scheme and indicator the raw value, the score that counts, its weight and
-- points (score x weight), and what stood in for a missing value. Clusters compare and have no points.
{{ config(materialized='view') }}
{{ compiled('indicator_scores', scores=ref('int_scores_wide'), neutral=ref('int_neutral_scores')) }}
