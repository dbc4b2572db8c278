-- Churn features from order lines: how many categories and products a customer buys, and whether they get fewer.
-- Only lines of confirmed sales up to the as-of date count.
with lines as (

    select * from {{ ref('int_order_lines') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

coverage as (

    select * from {{ ref('int_order_coverage') }}

),

aged as (

    select
        lines.customer_id,
        as_of_dates.as_of_date,
        lines.source,
        lines.product_id,
        lines.category,
        {{ days_between('lines.ordered_on', 'as_of_dates.as_of_date') }} as age_days,
        {{ days_between('coverage.data_begins_on', 'as_of_dates.as_of_date') }} as data_age_days
    from lines
    inner join as_of_dates
        on lines.ordered_on <= as_of_dates.as_of_date
    inner join coverage
        on as_of_dates.as_of_date = coverage.as_of_date
    where lines.order_type = 'sale'

),

counted as (

    select
        customer_id,
        as_of_date,
        max(data_age_days) as data_age_days,
        count(distinct case when age_days < 365 then category end) as categories_365d,
        count(distinct case when age_days < 365 then source || ' ' || product_id end) as products_365d,
        count(distinct case when age_days < 180 then source || ' ' || product_id end) as products_180d,
        count(distinct case when {{ in_window('age_days', 180, 360) }} then source || ' ' || product_id end)
            as products_before_180d
    from aged
    group by customer_id, as_of_date

)

select
    customer_id,
    as_of_date,
    cast(categories_365d as integer) as categories_365d,
    cast(products_365d as integer) as products_365d,
    case when data_age_days >= 359 then {{ trend('products_180d', 'products_before_180d') }} end as products_trend_180d
from counted
