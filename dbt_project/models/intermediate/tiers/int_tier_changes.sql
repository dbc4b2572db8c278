-- Changes of the effective tier: those of accepted nights, then those of the nights just computed. A customer's first
-- tier (entered) and its leaving a scheme (left) are kinds of their own.
with states as (

    select * from {{ ref('int_tier_states') }}

),

accepted_changes as (

    select * from {{ source('state', 'tier_changes') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

),

ranks as (

    select
        tiers.scheme,
        tiers.tier,
        tiers.tier_rank
    from tiers
    inner join in_force
        on tiers.rules_version = in_force.rules_version

),

moves as (

    select
        customer_id,
        scheme,
        as_of_date,
        previous_tier as from_tier,
        effective_tier as to_tier,
        reason,
        cause,
        annual_spend,
        case when previous_tier is not null then from_score end as from_score,
        score as to_score,
        correction_points_before as correction_points,
        rule_points_before as rule_points
    from states
    where previous_tier is null or effective_tier is null or previous_tier <> effective_tier

),

directed as (

    select
        moves.customer_id,
        moves.scheme,
        moves.as_of_date,
        moves.from_tier,
        moves.to_tier,
        case
            when moves.from_tier is null then 'entered'
            when moves.to_tier is null then 'left'
            when moves.to_tier = 'pending' then 'to_pending'
            when moves.from_tier = 'pending' then 'from_pending'
            when ranks_to.tier_rank < ranks_from.tier_rank then 'up'
            when ranks_to.tier_rank > ranks_from.tier_rank then 'down'
            else 'moved'
        end as direction,
        moves.reason,
        moves.cause,
        moves.annual_spend,
        moves.from_score,
        moves.to_score,
        cast(
            moves.to_score - moves.from_score - moves.correction_points - moves.rule_points as decimal(30, 12)
        ) as data_points,
        case when moves.to_score is not null and moves.from_score is not null then moves.correction_points end
            as correction_points,
        case when moves.to_score is not null and moves.from_score is not null then moves.rule_points end
            as rule_points
    from moves
    left join ranks as ranks_from
        on
            moves.scheme = ranks_from.scheme
            and moves.from_tier = ranks_from.tier
    left join ranks as ranks_to
        on
            moves.scheme = ranks_to.scheme
            and moves.to_tier = ranks_to.tier

)

select
    customer_id,
    scheme,
    as_of_date,
    from_tier,
    to_tier,
    direction,
    reason,
    cause,
    annual_spend,
    from_score,
    to_score,
    data_points,
    correction_points,
    rule_points
from accepted_changes
union all
select
    customer_id,
    scheme,
    as_of_date,
    from_tier,
    to_tier,
    direction,
    reason,
    cause,
    annual_spend,
    from_score,
    to_score,
    data_points,
    correction_points,
    rule_points
from directed
