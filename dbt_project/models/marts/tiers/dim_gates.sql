-- Conditions that cap a tier whatever the score says, in force on the night.
with gates as (

    select * from {{ source('rules', 'gates') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    gates.scheme,
    gates.tier,
    gates.indicator,
    gates.lower_bound,
    gates.cap_tier
from gates
inner join in_force
    on gates.rules_version = in_force.rules_version
