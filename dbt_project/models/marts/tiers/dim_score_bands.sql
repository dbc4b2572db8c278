-- The bands in force on the night that turn raw values into scores.
with score_bands as (

    select * from {{ source('rules', 'score_bands') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    score_bands.scheme,
    score_bands.indicator,
    score_bands.lower_bound,
    score_bands.upper_bound,
    score_bands.lower_included,
    score_bands.upper_included,
    score_bands.score
from score_bands
inner join in_force
    on score_bands.rules_version = in_force.rules_version
