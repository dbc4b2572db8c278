-- What the lifetime-value models read per customer and as-of date: days with an order after the first one, weeks to
-- the last of them and to the as-of date, and the mean net spend of a day with an order.
with days as (

    select * from {{ ref('int_customer_days') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

summed as (

    select
        days.customer_id,
        settings.as_of_date,
        settings.clv_horizon_days,
        settings.clv_min_customers,
        min(days.ordered_on) as first_order_on,
        max(days.ordered_on) as last_order_on,
        count(*) as order_days,
        sum(days.net_amount) as net_amount
    from days
    inner join settings
        on days.ordered_on <= settings.as_of_date
    where days.order_count > 0
    group by days.customer_id, settings.as_of_date, settings.clv_horizon_days, settings.clv_min_customers

)

select
    customer_id,
    as_of_date,
    clv_horizon_days,
    clv_min_customers,
    order_days - 1 as repeat_days,
    {{ days_between('first_order_on', 'last_order_on') }} / cast(7 as double) as last_week,
    {{ days_between('first_order_on', 'as_of_date') }} / cast(7 as double) as age_weeks,
    {{ mean_of('net_amount', 'order_days') }} as mean_value
from summed
