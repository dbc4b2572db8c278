-- The schemes in force on the night, with how many customers they could place; what nobody has of a scheme is named.
with schemes as (

    select * from {{ source('rules', 'schemes') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

),

tiers as (

    select * from {{ ref('int_computed_tiers') }}

),

indicator_scores as (

    select * from {{ ref('int_indicator_scores') }}

),

placed as (

    select
        tiers.scheme,
        count(*) as customers,
        count(case when tiers.computed_tier <> 'pending' then 1 end) as placed_customers
    from tiers
    inner join in_force
        on
            tiers.rules_version = in_force.rules_version
            and tiers.as_of_date = in_force.as_of_date
    group by tiers.scheme

),

unknown_to_all as (

    select
        indicator_scores.scheme,
        indicator_scores.indicator
    from indicator_scores
    inner join in_force
        on indicator_scores.as_of_date = in_force.as_of_date
    group by indicator_scores.scheme, indicator_scores.indicator
    having count(case when indicator_scores.status = 'measured' then 1 end) = 0

),

lists as (

    select
        scheme,
        {{ join_texts('indicator', 'indicator') }} as unknown_indicators
    from unknown_to_all
    group by scheme

)

select
    schemes.scheme,
    schemes.kind,
    schemes.population,
    schemes.label_en,
    schemes.label_zh,
    schemes.description,
    cast(coalesce(placed.customers, 0) as integer) as customers,
    cast(coalesce(placed.placed_customers, 0) as integer) as placed_customers,
    lists.unknown_indicators
from schemes
inner join in_force
    on schemes.rules_version = in_force.rules_version
left join placed
    on schemes.scheme = placed.scheme
left join lists
    on schemes.scheme = lists.scheme
