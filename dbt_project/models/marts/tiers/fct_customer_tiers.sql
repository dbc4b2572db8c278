-- The tier of each customer in each scheme. The computed tier follows the score; a customer with a missing
-- indicator is pending. The effective tier is the computed one; `tier_since` and `reason` compare it with what
-- the last accepted night published.
with computed as (

    select * from {{ ref('int_computed_tiers') }}

),

accepted_changes as (

    select * from {{ source('state', 'tier_changes') }}

),

potential as (

    select
        dimension_scores.customer_id,
        dimension_scores.scheme,
        dimension_scores.as_of_date,
        dimension_scores.score >= as_of_dates.high_potential_score as is_high_potential
    from {{ ref('fct_dimension_scores') }} as dimension_scores
    inner join {{ ref('int_as_of_dates') }} as as_of_dates
        on dimension_scores.as_of_date = as_of_dates.as_of_date
    inner join {{ ref('int_scheme_members') }} as members
        on
            dimension_scores.customer_id = members.customer_id
            and dimension_scores.scheme = members.scheme
            and dimension_scores.as_of_date = members.as_of_date
    where dimension_scores.dimension = 'potential' and members.kind = 'weighted'

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
        computed.coverage,
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
        coverage,
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
    spells.customer_id,
    spells.scheme,
    spells.as_of_date,
    spells.score,
    spells.coverage,
    spells.computed_tier,
    spells.effective_tier,
    spells.previous_tier,
    spells.tier_since,
    case
        when spells.previous_tier is null then 'first_tier'
        when spells.previous_tier <> spells.effective_tier then 'recomputed'
        else 'unchanged'
    end as reason,
    coalesce(potential.is_high_potential, false) as is_high_potential
from spells
left join potential
    on
        spells.customer_id = potential.customer_id
        and spells.scheme = potential.scheme
        and spells.as_of_date = potential.as_of_date
