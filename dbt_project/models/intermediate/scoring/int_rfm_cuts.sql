-- Cuts of recency, frequency and monetary value over the customers with an order: quintiles, median, mean.
-- Cuts joined back scale where ranking everybody in one window does not, and equal values share a score.
with indicators as (

    select * from {{ ref('int_customer_indicators') }}

)

select
    as_of_date,
    percentile_disc(0.2) within group (order by recency_days) as recency_days_p20,
    percentile_disc(0.4) within group (order by recency_days) as recency_days_p40,
    percentile_disc(0.6) within group (order by recency_days) as recency_days_p60,
    percentile_disc(0.8) within group (order by recency_days) as recency_days_p80,
    percentile_disc(0.5) within group (order by recency_days) as recency_days_median,
    avg(recency_days) as recency_days_mean,
    percentile_disc(0.2) within group (order by order_frequency) as frequency_p20,
    percentile_disc(0.4) within group (order by order_frequency) as frequency_p40,
    percentile_disc(0.6) within group (order by order_frequency) as frequency_p60,
    percentile_disc(0.8) within group (order by order_frequency) as frequency_p80,
    percentile_disc(0.5) within group (order by order_frequency) as frequency_median,
    avg(order_frequency) as frequency_mean,
    percentile_disc(0.2) within group (order by cumulative_spend) as monetary_p20,
    percentile_disc(0.4) within group (order by cumulative_spend) as monetary_p40,
    percentile_disc(0.6) within group (order by cumulative_spend) as monetary_p60,
    percentile_disc(0.8) within group (order by cumulative_spend) as monetary_p80,
    percentile_disc(0.5) within group (order by cumulative_spend) as monetary_median,
    avg(cumulative_spend) as monetary_mean
from indicators
where recency_days is not null
group by as_of_date
