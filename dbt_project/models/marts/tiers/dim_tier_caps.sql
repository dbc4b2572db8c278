-- What a tier asks for whatever the score says, in force on the night.
with tier_caps as (

    select * from {{ source('rules', 'tier_caps') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    tier_caps.scheme,
    tier_caps.tier,
    tier_caps.indicator,
    tier_caps.lower_bound
from tier_caps
inner join in_force
    on tier_caps.rules_version = in_force.rules_version
