-- The bands in force on the night that turn scores into tiers, and dimension scores into levels.
with tier_bands as (

    select * from {{ source('rules', 'tier_bands') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    tier_bands.scheme,
    tier_bands.dimension,
    tier_bands.tier,
    tier_bands.lower_bound,
    tier_bands.upper_bound,
    tier_bands.lower_included,
    tier_bands.upper_included
from tier_bands
inner join in_force
    on tier_bands.rules_version = in_force.rules_version
