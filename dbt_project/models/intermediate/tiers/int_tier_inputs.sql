-- What decides about an effective tier on each night: the computed tier, the scheme's stability rules, the triggers,
-- a manual override, and what corrections and changed rules contribute. One row per customer and scheme, for every
-- night: a customer that is not in the scheme on a night has a row without a computed tier.
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

computed as (

    select * from {{ ref('int_computed_tiers') }}

),

accepted as (

    select * from {{ source('state', 'customer_tiers') }}

),

under_old_rules as (

    select * from {{ source('state', 'tiers_under_old_rules') }}

),

indicators as (

    select * from {{ ref('int_indicators_orders') }}

),

stability as (

    select * from {{ source('rules', 'stability') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

overrides as (

    select * from {{ source('pipeline', 'tier_overrides') }}

),

nights as (

    select
        as_of_date,
        rules_version,
        row_number() over (order by as_of_date) as night_number
    from as_of_dates
    where kind <> 'baseline'

),

rule_changes as (

    select distinct as_of_date from under_old_rules

),

-- The last accepted night as it is seen now, against what was published: corrections of the past.
corrections as (

    select
        accepted.customer_id,
        accepted.scheme,
        computed.computed_tier as corrected_tier,
        computed.score - accepted.score as correction_delta
    from accepted
    inner join as_of_dates
        on
            accepted.as_of_date = as_of_dates.as_of_date
            and as_of_dates.kind = 'baseline'
    inner join computed
        on
            accepted.customer_id = computed.customer_id
            and accepted.scheme = computed.scheme
            and accepted.as_of_date = computed.as_of_date
    where accepted.computed_tier <> computed.computed_tier or accepted.score <> computed.score

),

known as (

    select
        customer_id,
        scheme
    from accepted
    union
    select
        computed.customer_id,
        computed.scheme
    from computed
    inner join nights
        on computed.as_of_date = nights.as_of_date

)

select
    known.customer_id,
    known.scheme,
    nights.as_of_date,
    nights.night_number,
    nights.rules_version,
    computed.score,
    computed.coverage,
    computed.computed_tier,
    computed.entering_tier,
    computed.leaving_tier,
    computed_ranks.tier_rank as computed_rank,
    entering_ranks.tier_rank as entering_rank,
    leaving_ranks.tier_rank as leaving_rank,
    indicators.annual_spend,
    stability.min_dwell_days,
    stability.spend_change,
    coalesce(
        indicators.last_order_on <= {{ months_before('nights.as_of_date', 'stability.idle_months') }}, false
    ) as is_idle,
    coalesce({{ is_review_day('nights.as_of_date', 'stability.review') }}, false) as is_review_day,
    overrides.tier as override_tier,
    rule_changes.as_of_date is not null as is_rule_change,
    under_old_rules.computed_tier as tier_under_old_rules,
    computed.score - under_old_rules.score as rule_delta,
    corrections.corrected_tier,
    corrections.correction_delta
from known
cross join nights
left join computed
    on
        known.customer_id = computed.customer_id
        and known.scheme = computed.scheme
        and nights.as_of_date = computed.as_of_date
left join indicators
    on
        known.customer_id = indicators.customer_id
        and nights.as_of_date = indicators.as_of_date
left join stability
    on
        nights.rules_version = stability.rules_version
        and known.scheme = stability.scheme
left join overrides
    on
        known.customer_id = overrides.customer_id
        and known.scheme = overrides.scheme
        and nights.as_of_date between overrides.valid_from and overrides.expires_on
left join rule_changes
    on nights.as_of_date = rule_changes.as_of_date
left join under_old_rules
    on
        known.customer_id = under_old_rules.customer_id
        and known.scheme = under_old_rules.scheme
        and nights.as_of_date = under_old_rules.as_of_date
left join corrections
    on
        known.customer_id = corrections.customer_id
        and known.scheme = corrections.scheme
        and nights.night_number = 1
left join tiers as computed_ranks
    on
        nights.rules_version = computed_ranks.rules_version
        and known.scheme = computed_ranks.scheme
        and computed.computed_tier = computed_ranks.tier
left join tiers as entering_ranks
    on
        nights.rules_version = entering_ranks.rules_version
        and known.scheme = entering_ranks.scheme
        and computed.entering_tier = entering_ranks.tier
left join tiers as leaving_ranks
    on
        nights.rules_version = leaving_ranks.rules_version
        and known.scheme = leaving_ranks.scheme
        and computed.leaving_tier = leaving_ranks.tier
