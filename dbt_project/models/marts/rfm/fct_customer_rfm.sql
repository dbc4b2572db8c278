-- RFM of customers with at least one order: 1-5 scores by quintile cuts (equal values always share a score)
-- and the 8 classes by high/low cuts (fixed, median or mean by setting; at the cut counts as high).
with indicators as (

    select
        customer_id,
        as_of_date,
        recency_days,
        order_frequency as frequency,
        cumulative_spend as monetary
    from {{ ref('fct_customer_indicators') }}
    where recency_days is not null

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

cuts as (

    select * from {{ ref('int_rfm_cuts') }}

),

compared as (

    select
        indicators.customer_id,
        indicators.as_of_date,
        indicators.recency_days,
        indicators.frequency,
        indicators.monetary,
        1
        + case when indicators.recency_days <= cuts.recency_days_p20 then 1 else 0 end
        + case when indicators.recency_days <= cuts.recency_days_p40 then 1 else 0 end
        + case when indicators.recency_days <= cuts.recency_days_p60 then 1 else 0 end
        + case when indicators.recency_days <= cuts.recency_days_p80 then 1 else 0 end as r_score,
        1
        + case when indicators.frequency > cuts.frequency_p20 then 1 else 0 end
        + case when indicators.frequency > cuts.frequency_p40 then 1 else 0 end
        + case when indicators.frequency > cuts.frequency_p60 then 1 else 0 end
        + case when indicators.frequency > cuts.frequency_p80 then 1 else 0 end as f_score,
        1
        + case when indicators.monetary > cuts.monetary_p20 then 1 else 0 end
        + case when indicators.monetary > cuts.monetary_p40 then 1 else 0 end
        + case when indicators.monetary > cuts.monetary_p60 then 1 else 0 end
        + case when indicators.monetary > cuts.monetary_p80 then 1 else 0 end as m_score,
        case as_of_dates.rfm_cuts
            when 'median' then indicators.recency_days <= cuts.recency_days_median
            when 'mean' then indicators.recency_days <= cuts.recency_days_mean
            else indicators.recency_days <= as_of_dates.rfm_recency_days
        end as is_recency_days_high,
        case as_of_dates.rfm_cuts
            when 'median' then indicators.frequency >= cuts.frequency_median
            when 'mean' then indicators.frequency >= cuts.frequency_mean
            else indicators.frequency >= as_of_dates.rfm_frequency
        end as is_frequency_high,
        case as_of_dates.rfm_cuts
            when 'median' then indicators.monetary >= cuts.monetary_median
            when 'mean' then indicators.monetary >= cuts.monetary_mean
            else indicators.monetary >= as_of_dates.rfm_monetary
        end as is_monetary_high
    from indicators
    inner join cuts
        on indicators.as_of_date = cuts.as_of_date
    inner join as_of_dates
        on indicators.as_of_date = as_of_dates.as_of_date

)

select
    customer_id,
    as_of_date,
    recency_days,
    frequency,
    monetary,
    cast(r_score as integer) as r_score,
    cast(f_score as integer) as f_score,
    cast(m_score as integer) as m_score,
    case
        when is_recency_days_high and is_frequency_high and is_monetary_high then '重要价值'
        when is_frequency_high and is_monetary_high then '重要保持'
        when is_recency_days_high and is_monetary_high then '重要发展'
        when is_monetary_high then '重要挽留'
        when is_recency_days_high and is_frequency_high then '一般价值'
        when is_frequency_high then '一般保持'
        when is_recency_days_high then '一般发展'
        else '一般挽留'
    end as rfm_class,
    case
        when recency_days >= 90 and frequency <= 3 and monetary <= 10000 then '流失风险'
        when recency_days <= 30 and frequency >= 10 and monetary >= 100000 then '重要价值'
    end as rfm_overlay
from compared
