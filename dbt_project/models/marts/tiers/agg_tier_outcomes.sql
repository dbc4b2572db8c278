-- What became of customers after their tier was set: orders in so many days (setting outcome_days) before and after.
-- The window before ends with the night that set the tier, the window after begins the day after it and is over on
-- the as-of date. Only cases that the order data covers on both sides are measured; what is unknown is null, not 0.
with changes as (

    select * from {{ ref('fct_tier_changes') }}

),

days as (

    select * from {{ ref('int_customer_days') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

settings as (

    select * from {{ ref('int_mart_settings') }}

),

tier_ranks as (

    select * from {{ source('rules', 'tiers') }}

),

coverage as (

    select * from {{ ref('int_order_coverage') }}

),

cases as (

    select
        changes.customer_id,
        changes.scheme,
        changes.to_tier as tier,
        changes.direction,
        changes.as_of_date as set_on,
        settings.as_of_date,
        settings.outcome_days,
        as_of_dates.spend_basis
    from changes
    inner join settings
        on {{ days_between('changes.as_of_date', 'settings.as_of_date') }} >= settings.outcome_days
    inner join as_of_dates
        on settings.as_of_date = as_of_dates.as_of_date
    where changes.to_tier is not null

),

-- A customer's tiers of several schemes are mostly set on the same night: its windows are summed once.
moments as (

    select distinct
        customer_id,
        as_of_date,
        set_on,
        outcome_days,
        spend_basis
    from cases

),

in_windows as (

    select
        moments.customer_id,
        moments.as_of_date,
        moments.set_on,
        days.order_count,
        days.ordered_on > moments.set_on as is_after,
        case when moments.spend_basis = 'gross' then days.gross_amount else days.net_amount end as spend
    from moments
    inner join days
        on
            moments.customer_id = days.customer_id
            and {{ days_between('days.ordered_on', 'moments.set_on') }} < moments.outcome_days
            and {{ days_between('moments.set_on', 'days.ordered_on') }} <= moments.outcome_days

),

sums as (

    select
        customer_id,
        as_of_date,
        set_on,
        sum(case when is_after then 0 else order_count end) as orders_before,
        sum(case when is_after then order_count else 0 end) as orders_after,
        sum(case when is_after then 0 else spend end) as spend_before,
        sum(case when is_after then spend else 0 end) as spend_after
    from in_windows
    group by customer_id, as_of_date, set_on

),

measured as (

    select
        cases.customer_id,
        cases.scheme,
        cases.tier,
        cases.direction,
        cases.as_of_date,
        cases.outcome_days,
        case
            when
                customers.has_order_source
                and {{ days_between('coverage.data_begins_on', 'cases.set_on') }} >= cases.outcome_days - 1
                then 1
        end as is_measured,
        coalesce(sums.orders_before, 0) as orders_before,
        coalesce(sums.orders_after, 0) as orders_after,
        coalesce(sums.spend_before, 0) as spend_before,
        coalesce(sums.spend_after, 0) as spend_after
    from cases
    left join coverage
        on cases.as_of_date = coverage.as_of_date
    left join customers
        on cases.customer_id = customers.customer_id
    left join sums
        on
            cases.customer_id = sums.customer_id
            and cases.as_of_date = sums.as_of_date
            and cases.set_on = sums.set_on

),

outcomes as (

    select
        scheme,
        tier,
        direction,
        as_of_date,
        max(outcome_days) as outcome_days,
        count(*) as tiers_set,
        count(distinct customer_id) as customers,
        count(is_measured) as tiers_measured,
        sum(case when is_measured = 1 then spend_before end) as spend_before,
        sum(case when is_measured = 1 then spend_after end) as spend_after,
        count(case when is_measured = 1 and orders_before >= 1 then 1 end) as bought_before,
        count(case when is_measured = 1 and orders_after >= 1 then 1 end) as bought_after,
        count(case when is_measured = 1 and orders_before >= 2 then 1 end) as bought_again_before,
        count(case when is_measured = 1 and orders_after >= 2 then 1 end) as bought_again_after
    from measured
    group by scheme, tier, direction, as_of_date

)

select
    outcomes.scheme,
    outcomes.tier,
    outcomes.direction,
    outcomes.as_of_date,
    tier_ranks.tier_rank,
    outcomes.outcome_days,
    cast(outcomes.tiers_set as integer) as tiers_set,
    cast(outcomes.customers as integer) as customers,
    cast(outcomes.tiers_measured as integer) as tiers_measured,
    cast(outcomes.spend_before as decimal(18, 2)) as spend_before,
    cast(outcomes.spend_after as decimal(18, 2)) as spend_after,
    case
        when outcomes.spend_before > 0
            then {{ ratio('outcomes.spend_after - outcomes.spend_before', 'outcomes.spend_before') }}
    end as spend_growth,
    {{ ratio('outcomes.bought_before', 'outcomes.tiers_measured') }} as repurchase_rate_before,
    {{ ratio('outcomes.bought_after', 'outcomes.tiers_measured') }} as repurchase_rate_after,
    {{ ratio('outcomes.bought_again_before', 'outcomes.tiers_measured') }} as repeat_rate_before,
    {{ ratio('outcomes.bought_again_after', 'outcomes.tiers_measured') }} as repeat_rate_after,
    {{ ratio('outcomes.tiers_measured - outcomes.bought_before', 'outcomes.tiers_measured') }} as churn_rate_before,
    {{ ratio('outcomes.tiers_measured - outcomes.bought_after', 'outcomes.tiers_measured') }} as churn_rate_after
from outcomes
inner join settings
    on outcomes.as_of_date = settings.as_of_date
left join tier_ranks
    on
        settings.rules_version = tier_ranks.rules_version
        and outcomes.scheme = tier_ranks.scheme
        and outcomes.tier = tier_ranks.tier
