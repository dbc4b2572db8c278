-- Churn features from interactions up to the as-of date: logins, other interactions, and whether they get fewer.
{%- set counts = [
    'logins_30d', 'logins_before_30d', 'logins_90d', 'interactions_90d', 'participations_365d'
] %}
with interactions as (

    select * from {{ ref('int_interactions') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

customers as (

    select * from {{ ref('int_customer_as_of') }}

),

aged as (

    select
        interactions.customer_id,
        as_of_dates.as_of_date,
        interactions.kind = 'login' as is_login,
        interactions.is_participation and interactions.kind in ('campaign', 'event') as is_participation,
        {{ days_between('cast(interactions.occurred_at as date)', 'as_of_dates.as_of_date') }} as age_days
    from interactions
    inner join as_of_dates
        on cast(interactions.occurred_at as date) <= as_of_dates.as_of_date

),

counted as (

    select
        customer_id,
        as_of_date,
        sum(case when is_login and age_days < 30 then 1 else 0 end) as logins_30d,
        sum(case when is_login and {{ in_window('age_days', 30, 60) }} then 1 else 0 end) as logins_before_30d,
        sum(case when is_login and age_days < 90 then 1 else 0 end) as logins_90d,
        sum(case when is_login and {{ in_window('age_days', 90, 180) }} then 1 else 0 end) as logins_before_90d,
        min(case when is_login then age_days end) as days_since_login,
        sum(case when not is_login and age_days < 90 then 1 else 0 end) as interactions_90d,
        sum(case when not is_login and {{ in_window('age_days', 90, 180) }} then 1 else 0 end)
            as interactions_before_90d,
        sum(case when is_participation and age_days < 365 then 1 else 0 end) as participations_365d
    from aged
    group by customer_id, as_of_date

),

covered as (

    select as_of_date
    from aged
    group by as_of_date

)

select
    customers.customer_id,
    customers.as_of_date,
    {%- for name in counts %}
    case when covered.as_of_date is not null then cast(coalesce(counted.{{ name }}, 0) as integer) end as {{ name }},
    {%- endfor %}
    {{ trend('counted.logins_90d', 'counted.logins_before_90d') }} as login_trend_90d,
    cast(counted.days_since_login as integer) as days_since_login,
    {{ trend('counted.interactions_90d', 'counted.interactions_before_90d') }} as interaction_trend_90d
from customers
left join covered
    on customers.as_of_date = covered.as_of_date
left join counted
    on
        customers.customer_id = counted.customer_id
        and customers.as_of_date = counted.as_of_date
