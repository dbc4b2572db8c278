-- RFM of customers with at least one order: 1-5 scores by quintile cuts (equal values always share a score)
-- and the 8 classes by high/low cuts (fixed, median or mean by setting; at the cut counts as high). Beside them the
-- sum of the scores and its level, as they are and adjusted by company size and industry potential (rfm_adjustments).
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

settings as (

    select * from {{ ref('int_mart_settings') }}

),

indicator_values as (

    select * from {{ ref('int_indicator_values') }}

),

adjustments as (

    select * from {{ source('rules', 'rfm_adjustments') }}

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

),

-- An attribute that is unknown, or a level without a row, adds nothing.
adjusted as (

    select
        indicator_values.customer_id,
        indicator_values.as_of_date,
        sum(adjustments.points) as adjustment,
        count(*) as adjusted_by
    from indicator_values
    inner join settings
        on indicator_values.as_of_date = settings.as_of_date
    inner join adjustments
        on
            settings.rules_version = adjustments.rules_version
            and indicator_values.indicator = adjustments.indicator
            and (
                indicator_values.raw_level = adjustments.level
                or (
                    indicator_values.raw_value is not null
                    and {{ in_band('indicator_values.raw_value', 'adjustments') }}
                )
            )
    group by indicator_values.customer_id, indicator_values.as_of_date

),

totals as (

    select
        compared.customer_id,
        compared.as_of_date,
        compared.recency_days,
        compared.frequency,
        compared.monetary,
        compared.r_score,
        compared.f_score,
        compared.m_score,
        compared.is_recency_days_high,
        compared.is_frequency_high,
        compared.is_monetary_high,
        compared.r_score + compared.f_score + compared.m_score as rfm_score,
        coalesce(adjusted.adjustment, 0) as adjustment,
        coalesce(adjusted.adjusted_by, 0) as adjusted_by,
        compared.r_score + compared.f_score + compared.m_score + coalesce(adjusted.adjustment, 0) as adjusted_score,
        settings.rfm_risk_recency_days,
        settings.rfm_risk_frequency,
        settings.rfm_risk_monetary,
        settings.rfm_important_recency_days,
        settings.rfm_important_frequency,
        settings.rfm_important_monetary,
        settings.rfm_high_score,
        settings.rfm_middle_score
    from compared
    inner join settings
        on compared.as_of_date = settings.as_of_date
    left join adjusted
        on
            compared.customer_id = adjusted.customer_id
            and compared.as_of_date = adjusted.as_of_date

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
        when
            recency_days >= rfm_risk_recency_days
            and frequency <= rfm_risk_frequency
            and monetary <= rfm_risk_monetary
            then '流失风险'
        when
            recency_days <= rfm_important_recency_days
            and frequency >= rfm_important_frequency
            and monetary >= rfm_important_monetary
            then '重要价值'
    end as rfm_overlay,
    cast(rfm_score as integer) as rfm_score,
    case
        when rfm_score >= rfm_high_score then 'high'
        when rfm_score >= rfm_middle_score then 'middle'
        else 'low'
    end as rfm_level,
    cast(adjustment as decimal(9, 2)) as adjustment,
    cast(adjusted_by as integer) as adjusted_by,
    cast(adjusted_score as decimal(9, 2)) as adjusted_score,
    case
        when adjusted_score >= rfm_high_score then 'high'
        when adjusted_score >= rfm_middle_score then 'middle'
        else 'low'
    end as adjusted_level
from totals
