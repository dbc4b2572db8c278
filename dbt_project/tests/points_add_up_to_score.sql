-- What a score consists of adds up to it: points of the indicators (schemes whose score is a sum), and score x weight
-- of the dimensions (weighted schemes).
with tiers as (

    select
        tiers.customer_id,
        tiers.scheme,
        tiers.as_of_date,
        tiers.score,
        schemes.kind
    from {{ ref('int_computed_tiers') }} as tiers
    inner join {{ source('rules', 'schemes') }} as schemes
        on
            tiers.rules_version = schemes.rules_version
            and tiers.scheme = schemes.scheme
    where schemes.kind in ('weighted', 'bands', 'rank') and tiers.score is not null

),

by_indicator as (

    select
        customer_id,
        scheme,
        as_of_date,
        sum(points) as points
    from {{ ref('fct_indicator_scores') }}
    group by customer_id, scheme, as_of_date

),

by_dimension as (

    select
        customer_id,
        scheme,
        as_of_date,
        sum(score * weight) as points
    from {{ ref('fct_dimension_scores') }}
    group by customer_id, scheme, as_of_date

)

select
    tiers.customer_id,
    tiers.scheme
from tiers
inner join by_indicator
    on
        tiers.customer_id = by_indicator.customer_id
        and tiers.scheme = by_indicator.scheme
        and tiers.as_of_date = by_indicator.as_of_date
inner join by_dimension
    on
        tiers.customer_id = by_dimension.customer_id
        and tiers.scheme = by_dimension.scheme
        and tiers.as_of_date = by_dimension.as_of_date
where
    -- Weights of many digits are cut at the twelfth.
    abs(tiers.score - by_indicator.points) > 0.000000001
    or (tiers.kind = 'weighted' and abs(tiers.score - by_dimension.points) > 0.000000001)
