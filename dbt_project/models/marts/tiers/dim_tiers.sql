-- The tiers of each scheme in force on the night: rank, labels, strategy.
with tiers as (

    select * from {{ source('rules', 'tiers') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    tiers.scheme,
    tiers.tier,
    tiers.tier_rank,
    tiers.label_en,
    tiers.label_zh,
    tiers.strategy_en,
    tiers.strategy_zh,
    nullif(tiers.strategy_high_potential_en, '') as strategy_high_potential_en,
    nullif(tiers.strategy_high_potential_zh, '') as strategy_high_potential_zh
from tiers
inner join in_force
    on tiers.rules_version = in_force.rules_version
