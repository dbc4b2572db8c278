-- Activity: confirmed orders of the last 12 months and of the last 90 days, days with an order in those 90.
with days as (

    select * from {{ ref('int_customer_days') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

)

select
    days.customer_id,
    as_of_dates.as_of_date,
    cast(sum(days.order_count) as integer) as orders_12m,
    cast(
        sum(
            case
                when {{ days_between('days.ordered_on', 'as_of_dates.as_of_date') }} < 90 then days.order_count
                else 0
            end
        ) as integer
    ) as orders_90d,
    cast(
        sum(
            case
                when days.order_count > 0 and {{ days_between('days.ordered_on', 'as_of_dates.as_of_date') }} < 90
                    then 1
                else 0
            end
        ) as integer
    ) as active_days_90d
from days
inner join as_of_dates
    on
        days.ordered_on > as_of_dates.year_before
        and days.ordered_on <= as_of_dates.as_of_date
group by days.customer_id, as_of_dates.as_of_date
