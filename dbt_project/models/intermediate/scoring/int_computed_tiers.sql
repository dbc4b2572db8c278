-- Score and tier of each customer in each scheme by the figures of the night alone. `entering` is the tier with the
-- enter margin taken off the score, `leaving` the one with the exit margin added to it.
{{ config(materialized='view') }}
{{ compiled('computed_tiers', tiers=ref('int_tiers_wide')) }}
