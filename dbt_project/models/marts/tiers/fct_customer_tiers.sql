-- The tier of each customer in each scheme. The computed tier follows the score; a customer with a missing
-- indicator is pending. The effective tier is the computed one; `tier_since` and `reason` compare it with what
-- the last accepted night published.
with scores as (

    select * from {{ ref('fct_indicator_scores') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

tier_bands as (

    select * from {{ source('rules', 'tier_bands') }}

),

accepted_changes as (

    select * from {{ source('state', 'tier_changes') }}

),

totals as (

    select
        customer_id,
        scheme,
        as_of_date,
        cast(
            case when max(case when is_pending then 1 else 0 end) = 0 then sum(points) end as decimal(30, 12)
        ) as score
    from scores
    group by customer_id, scheme, as_of_date

),

computed as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        totals.score,
        coalesce(tier_bands.tier, 'pending') as computed_tier
    from totals
    inner join as_of_dates
        on totals.as_of_date = as_of_dates.as_of_date
    left join tier_bands
        on
            as_of_dates.rules_version = tier_bands.rules_version
            and totals.scheme = tier_bands.scheme
            and {{ in_band('totals.score', 'tier_bands') }}
            and totals.score is not null

),

last_accepted as (

    select
        customer_id,
        scheme,
        to_tier,
        as_of_date
    from (
        select
            customer_id,
            scheme,
            to_tier,
            as_of_date,
            row_number() over (partition by customer_id, scheme order by as_of_date desc) as newest_rank
        from accepted_changes
    ) as ranked
    where newest_rank = 1

),

compared as (

    select
        computed.customer_id,
        computed.scheme,
        computed.as_of_date,
        computed.score,
        computed.computed_tier,
        computed.computed_tier as effective_tier,
        last_accepted.as_of_date as accepted_since,
        lag(computed.as_of_date) over tiers_of_customer as previous_night,
        coalesce(
            lag(computed.computed_tier) over tiers_of_customer,
            last_accepted.to_tier
        ) as previous_tier
    from computed
    left join last_accepted
        on
            computed.customer_id = last_accepted.customer_id
            and computed.scheme = last_accepted.scheme
    window tiers_of_customer as (partition by computed.customer_id, computed.scheme order by computed.as_of_date)

),

spells as (

    select
        customer_id,
        scheme,
        as_of_date,
        score,
        computed_tier,
        effective_tier,
        previous_tier,
        max(
            case
                when previous_tier is null or previous_tier <> effective_tier then as_of_date
                when previous_night is null then accepted_since
            end
        ) over (
            partition by customer_id, scheme
            order by as_of_date
            rows between unbounded preceding and current row
        ) as tier_since
    from compared

)

select
    customer_id,
    scheme,
    as_of_date,
    score,
    computed_tier,
    effective_tier,
    previous_tier,
    tier_since,
    case
        when previous_tier is null then 'first_tier'
        when previous_tier <> effective_tier then 'recomputed'
        else 'unchanged'
    end as reason
from spells
