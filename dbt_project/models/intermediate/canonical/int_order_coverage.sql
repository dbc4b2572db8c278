-- Where the order data begins, as seen from each as-of date. Single old orders do not decide it: at most 5 % of the
-- customer-days so far, more than 90 days before the others, are strays (a placeholder for a date, a trial order,
-- one contract carried over from an older system). Without that, one of them would make a window count as covered
-- in which the orders of everybody else are unknown.
{%- set stray_share = 0.05 %}
{%- set stray_gap_days = 90 %}
with days as (

    select * from {{ ref('int_customer_days') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

by_day as (

    select
        ordered_on,
        count(*) as customer_days
    from days
    group by ordered_on

),

begins as (

    select
        ordered_on,
        coalesce(
            sum(customer_days) over (order by ordered_on rows between unbounded preceding and 1 preceding), 0
        ) as customer_days_before,
        lag(ordered_on) over (order by ordered_on) as day_before
    from by_day

),

so_far as (

    select
        as_of_dates.as_of_date,
        sum(by_day.customer_days) as customer_days
    from as_of_dates
    inner join by_day
        on as_of_dates.as_of_date >= by_day.ordered_on
    group by as_of_dates.as_of_date

)

select
    so_far.as_of_date,
    max(begins.ordered_on) as data_begins_on
from so_far
inner join begins
    on
        so_far.as_of_date >= begins.ordered_on
        and so_far.customer_days * {{ stray_share }} >= begins.customer_days_before
        and (
            begins.day_before is null
            or {{ days_between('begins.day_before', 'begins.ordered_on') }} > {{ stray_gap_days }}
        )
group by so_far.as_of_date
