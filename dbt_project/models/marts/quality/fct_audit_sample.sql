-- The audit sample: what is published about some customers of each scheme's best tier, against the same figures
-- computed a second time from the raw rows by other SQL. Per customer the indicators of the scheme, its score and
-- computed tier. `not_recomputed` says why; a figure that `differs` keeps the night from being published.
with sampled as (

    select * from {{ ref('audit_customers') }}

),

uses as (

    select distinct
        rules_version,
        scheme,
        indicator
    from {{ source('rules', 'scheme_indicators') }}

),

indicators as (

    select * from {{ ref('audit_indicators') }}

),

scores as (

    select * from {{ ref('audit_scores') }}

),

published_indicators as (

    select distinct
        customer_id,
        scheme,
        as_of_date,
        indicator,
        raw_value,
        raw_level
    from {{ ref('fct_indicator_scores') }}

),

published_tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

scored as (

    select
        sampled.as_of_date,
        sampled.scheme,
        sampled.customer_id,
        published.score as published_score,
        again.score as recomputed_score,
        published.computed_tier as published_tier,
        again.tier as recomputed_tier,
        again.score_unknown,
        again.tier_unknown,
        case
            when again.customer_id is null
                then 'schemes of kind ' || sampled.kind || ' compare customers with each other'
        end as not_comparable
    from sampled
    left join scores as again
        on
            sampled.customer_id = again.customer_id
            and sampled.scheme = again.scheme
            and sampled.as_of_date = again.as_of_date
    left join published_tiers as published
        on
            sampled.customer_id = published.customer_id
            and sampled.scheme = published.scheme
            and sampled.as_of_date = published.as_of_date

),

items as (

    select
        sampled.as_of_date,
        sampled.scheme,
        sampled.customer_id,
        uses.indicator as item,
        cast(published.raw_value as decimal(30, 12)) as published_value,
        cast(again.raw_value as decimal(30, 12)) as recomputed_value,
        published.raw_level as published_level,
        again.raw_level as recomputed_level,
        case when again.indicator is null then 'no audit model computes this indicator' end as reason
    from sampled
    inner join uses
        on
            sampled.rules_version = uses.rules_version
            and sampled.scheme = uses.scheme
    left join indicators as again
        on
            sampled.customer_id = again.customer_id
            and sampled.as_of_date = again.as_of_date
            and uses.indicator = again.indicator
    left join published_indicators as published
        on
            sampled.customer_id = published.customer_id
            and sampled.scheme = published.scheme
            and sampled.as_of_date = published.as_of_date
            and uses.indicator = published.indicator
    union all
    select
        as_of_date,
        scheme,
        customer_id,
        'score' as item,
        published_score as published_value,
        recomputed_score as recomputed_value,
        cast(null as varchar) as published_level,
        cast(null as varchar) as recomputed_level,
        coalesce(not_comparable, 'needs ' || score_unknown) as reason
    from scored
    union all
    select
        as_of_date,
        scheme,
        customer_id,
        'tier' as item,
        cast(null as decimal(30, 12)) as published_value,
        cast(null as decimal(30, 12)) as recomputed_value,
        published_tier as published_level,
        recomputed_tier as recomputed_level,
        coalesce(not_comparable, 'needs ' || tier_unknown) as reason
    from scored

),

compared as (

    select
        *,
        cast(published_value - recomputed_value as decimal(30, 12)) as difference,
        -- A millionth is what rounding leaves between two ways of computing.
        coalesce(abs(published_value - recomputed_value) <= 0.000001, false)
        or (published_value is null and recomputed_value is null) as is_same_value,
        coalesce(published_level, '') = coalesce(recomputed_level, '') as is_same_level
    from items

)

select
    as_of_date,
    scheme,
    customer_id,
    item,
    published_value,
    case when reason is null then recomputed_value end as recomputed_value,
    published_level,
    case when reason is null then recomputed_level end as recomputed_level,
    difference,
    case
        when reason is not null then 'not_recomputed'
        when is_same_value and is_same_level then 'agrees'
        else 'differs'
    end as status,
    reason
from compared
