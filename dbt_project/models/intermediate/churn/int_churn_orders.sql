-- Churn features from orders: recency, frequency and spend with their trends, and the gap since the last order
-- against the customer's own rhythm. Only days up to the as-of date count. A window of n days ends with the as-of
-- date; a trend compares it with the n days before it, and is unknown when the data begins later than those.
{%- set windows = [30, 90, 180, 365] %}
with days as (

    select * from {{ ref('int_customer_days') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

coverage as (

    select * from {{ ref('int_order_coverage') }}

),

order_days as (

    select
        customer_id,
        ordered_on,
        {{ days_between('lag(ordered_on) over (partition by customer_id order by ordered_on)', 'ordered_on') }}
            as gap_days
    from days
    where order_count > 0

),

aged as (

    select
        days.customer_id,
        as_of_dates.as_of_date,
        days.ordered_on,
        days.order_count,
        days.net_amount,
        order_days.gap_days,
        {{ days_between('days.ordered_on', 'as_of_dates.as_of_date') }} as age_days,
        {{ days_between('coverage.data_begins_on', 'as_of_dates.as_of_date') }} as data_age_days
    from days
    inner join as_of_dates
        on days.ordered_on <= as_of_dates.as_of_date
    inner join coverage
        on as_of_dates.as_of_date = coverage.as_of_date
    left join order_days
        on
            days.customer_id = order_days.customer_id
            and days.ordered_on = order_days.ordered_on

),

summed as (

    select
        customer_id,
        as_of_date,
        min(case when order_count > 0 then age_days end) as recency_days,
        max(case when order_count > 0 then ordered_on end) as last_order_on,
        sum(case when order_count > 0 then 1 else 0 end) as order_days,
        count(gap_days) as gaps,
        sum(gap_days) as gap_sum,
        sum(gap_days * gap_days) as gap_square_sum,
        max(gap_days) as longest_gap_days,
        {%- for days in windows %}
        sum(case when {{ in_window('age_days', 0, days) }} then order_count else 0 end) as orders_{{ days }}d,
        sum(case when {{ in_window('age_days', days, 2 * days) }} then order_count else 0 end)
            as orders_before_{{ days }}d,
        sum(case when {{ in_window('age_days', 0, days) }} then net_amount else 0 end) as spend_{{ days }}d,
        sum(case when {{ in_window('age_days', days, 2 * days) }} then net_amount else 0 end)
            as spend_before_{{ days }}d,
        {%- endfor %}
        max(data_age_days) as data_age_days
    from aged
    group by customer_id, as_of_date

),

rhythm as (

    select
        customer_id,
        as_of_date,
        {{ ratio('gap_sum', 'gaps') }} as average_gap_days,
        case
            when gaps >= 2
                then cast(
                    round(
                        sqrt(
                            greatest(cast(gap_square_sum * gaps - gap_sum * gap_sum as double), 0)
                            / (cast(gaps as double) * (gaps - 1))
                        ), 6
                    ) as decimal(18, 6)
                )
        end as gap_deviation_days
    from summed

)

select
    summed.customer_id,
    summed.as_of_date,
    cast(summed.recency_days as integer) as recency_days,
    summed.last_order_on,
    cast(summed.order_days as integer) as order_days,
    {%- for days in windows %}
    cast(summed.orders_{{ days }}d as integer) as orders_{{ days }}d,
    cast(summed.orders_before_{{ days }}d as integer) as orders_before_{{ days }}d,
    case
        when summed.data_age_days >= {{ 2 * days - 1 }}
            then {{ trend('summed.orders_' ~ days ~ 'd', 'summed.orders_before_' ~ days ~ 'd') }}
    end as orders_trend_{{ days }}d,
    cast(summed.spend_{{ days }}d as decimal(18, 2)) as spend_{{ days }}d,
    case
        when summed.data_age_days >= {{ 2 * days - 1 }}
            then {{ trend(
                'greatest(summed.spend_' ~ days ~ 'd, 0)', 'greatest(summed.spend_before_' ~ days ~ 'd, 0)'
            ) }}
    end as spend_trend_{{ days }}d,
    {%- endfor %}
    rhythm.average_gap_days,
    rhythm.gap_deviation_days,
    cast(summed.longest_gap_days as integer) as longest_gap_days,
    {{ ratio('summed.recency_days', 'rhythm.average_gap_days') }} as rhythm_ratio,
    case
        when rhythm.gap_deviation_days is not null
            then {{ ratio('summed.recency_days - rhythm.average_gap_days', 'greatest(rhythm.gap_deviation_days, 1)') }}
    end as rhythm_excess
from summed
inner join rhythm
    on
        summed.customer_id = rhythm.customer_id
        and summed.as_of_date = rhythm.as_of_date
