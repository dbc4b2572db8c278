-- Changes of the effective tier: those of accepted nights, then tonight's. A customer's first tier (entered)
-- and its leaving a scheme (left) are kinds of their own.
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

accepted_changes as (

    select * from {{ source('state', 'tier_changes') }}

),

ranks as (

    select * from {{ ref('dim_tiers') }}

),

nights as (

    select as_of_date from {{ ref('int_rules_in_force') }}

),

new_tiers as (

    select
        customer_id,
        scheme,
        as_of_date,
        previous_tier as from_tier,
        effective_tier as to_tier
    from tiers
    where previous_tier is null or previous_tier <> effective_tier

),

last_accepted as (

    select
        customer_id,
        scheme,
        to_tier
    from (
        select
            customer_id,
            scheme,
            to_tier,
            row_number() over (partition by customer_id, scheme order by as_of_date desc) as newest_rank
        from accepted_changes
    ) as ranked
    where newest_rank = 1

),

leavers as (

    select
        last_accepted.customer_id,
        last_accepted.scheme,
        nights.as_of_date,
        last_accepted.to_tier as from_tier,
        cast(null as varchar) as to_tier
    from last_accepted
    cross join nights
    left join tiers
        on
            last_accepted.customer_id = tiers.customer_id
            and last_accepted.scheme = tiers.scheme
    where last_accepted.to_tier is not null and tiers.customer_id is null

),

tonight as (

    select
        customer_id,
        scheme,
        as_of_date,
        from_tier,
        to_tier
    from new_tiers
    union all
    select
        customer_id,
        scheme,
        as_of_date,
        from_tier,
        to_tier
    from leavers

),

directed as (

    select
        tonight.customer_id,
        tonight.scheme,
        tonight.as_of_date,
        tonight.from_tier,
        tonight.to_tier,
        case
            when tonight.from_tier is null then 'entered'
            when tonight.to_tier is null then 'left'
            when tonight.to_tier = 'pending' then 'to_pending'
            when tonight.from_tier = 'pending' then 'from_pending'
            when ranks_to.tier_rank < ranks_from.tier_rank then 'up'
            when ranks_to.tier_rank > ranks_from.tier_rank then 'down'
            else 'moved'
        end as direction,
        'data' as cause
    from tonight
    left join ranks as ranks_from
        on
            tonight.scheme = ranks_from.scheme
            and tonight.from_tier = ranks_from.tier
    left join ranks as ranks_to
        on
            tonight.scheme = ranks_to.scheme
            and tonight.to_tier = ranks_to.tier

)

select
    customer_id,
    scheme,
    as_of_date,
    from_tier,
    to_tier,
    direction,
    cause
from accepted_changes
union all
select
    customer_id,
    scheme,
    as_of_date,
    from_tier,
    to_tier,
    direction,
    cause
from directed
