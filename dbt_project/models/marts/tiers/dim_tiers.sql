-- The tiers of each scheme in force on the night: rank, labels, strategy.
with tiers as (

    select * from {{ source('rules', 'tiers') }}

),

newest as (

    select rules_version
    from {{ ref('int_as_of_dates') }}
    where as_of_date = (select max(as_of_date) from {{ ref('int_as_of_dates') }})

)

select
    tiers.scheme,
    tiers.tier,
    tiers.tier_rank,
    tiers.label_en,
    tiers.label_zh,
    tiers.strategy_en,
    tiers.strategy_zh
from tiers
inner join newest
    on tiers.rules_version = newest.rules_version
