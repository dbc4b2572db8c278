-- The tier of each customer in each scheme: the computed one, the effective one and why it is what it is.
with states as (

    select * from {{ ref('int_tier_states') }}

),

computed as (

    select * from {{ ref('int_computed_tiers') }}

),

schemes as (

    select * from {{ source('rules', 'schemes') }}

),

dimension_scores as (

    select * from {{ ref('fct_dimension_scores') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

potential as (

    select
        dimension_scores.customer_id,
        dimension_scores.scheme,
        dimension_scores.as_of_date,
        dimension_scores.score >= as_of_dates.high_potential_score as is_high_potential
    from dimension_scores
    inner join as_of_dates
        on dimension_scores.as_of_date = as_of_dates.as_of_date
    inner join schemes
        on
            as_of_dates.rules_version = schemes.rules_version
            and dimension_scores.scheme = schemes.scheme
    where dimension_scores.dimension = 'potential' and schemes.kind = 'weighted'

)

select
    states.customer_id,
    states.scheme,
    states.as_of_date,
    states.score,
    computed.score_low,
    computed.score_high,
    states.coverage,
    states.computed_tier,
    states.computed_cause,
    computed.limited_by,
    states.effective_tier,
    states.previous_tier,
    states.tier_since,
    states.reason,
    states.tier_set_spend,
    states.tier_set_score,
    states.correction_points,
    states.rule_points,
    coalesce(potential.is_high_potential, false) as is_high_potential
from states
left join computed
    on
        states.customer_id = computed.customer_id
        and states.scheme = computed.scheme
        and states.as_of_date = computed.as_of_date
left join potential
    on
        states.customer_id = potential.customer_id
        and states.scheme = potential.scheme
        and states.as_of_date = potential.as_of_date
where states.effective_tier is not null
