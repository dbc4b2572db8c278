-- Score and level of each dimension as rows. The rule is in int_tiers_wide.
{{ config(materialized='view') }}
{{ compiled('dimension_scores', tiers=ref('int_tiers_wide')) }}
