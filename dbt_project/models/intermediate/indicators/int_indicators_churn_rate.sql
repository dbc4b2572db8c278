-- Churn rate of one customer: the share of the previous 12 months' spend that lay in categories which the
-- customer has not bought in the last 12 months. Without spend in the previous year there is none.
with lines as (

    select * from {{ ref('int_order_lines') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

by_category as (

    select
        lines.customer_id,
        as_of_dates.as_of_date,
        lines.category,
        sum(case when lines.ordered_on <= as_of_dates.year_before then lines.net_amount else 0 end) as previous_spend,
        sum(
            case when lines.ordered_on > as_of_dates.year_before and lines.order_type = 'sale' then 1 else 0 end
        ) as lines_of_last_year
    from lines
    inner join as_of_dates
        on
            lines.ordered_on > as_of_dates.two_years_before
            and lines.ordered_on <= as_of_dates.as_of_date
    where lines.category is not null
    group by lines.customer_id, as_of_dates.as_of_date, lines.category

)

select
    customer_id,
    as_of_date,
    {{ ratio('sum(case when lines_of_last_year = 0 then previous_spend else 0 end)', 'sum(previous_spend)') }}
        as churn_rate
from by_category
where previous_spend > 0
group by customer_id, as_of_date
