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

    select
        as_of_date,
        {%- for measure in ['recency_days', 'frequency', 'monetary'] %}
        {%- for fifth in [1, 2, 3, 4] %}
        percentile_disc(0.{{ fifth * 2 }}) within group (order by {{ measure }}) as {{ measure }}_p{{ fifth * 20 }},
        {%- endfor %}
        percentile_disc(0.5) within group (order by {{ measure }}) as {{ measure }}_median,
        avg({{ measure }}) as {{ measure }}_mean{{ "," if not loop.last }}
        {%- endfor %}
    from indicators
    group by as_of_date

),

compared as (

    select
        indicators.customer_id,
        indicators.as_of_date,
        indicators.recency_days,
        indicators.frequency,
        indicators.monetary,
        1
        {%- for percent in [20, 40, 60, 80] %}
        + case when indicators.recency_days <= cuts.recency_days_p{{ percent }} then 1 else 0 end
        {%- endfor %} as r_score,
        {%- for measure, letter in [('frequency', 'f'), ('monetary', 'm')] %}
        1
        {%- for percent in [20, 40, 60, 80] %}
        + case when indicators.{{ measure }} > cuts.{{ measure }}_p{{ percent }} then 1 else 0 end
        {%- endfor %} as {{ letter }}_score,
        {%- endfor %}
        {%- for measure, sign in [('recency_days', '<='), ('frequency', '>='), ('monetary', '>=')] %}
        case as_of_dates.rfm_cuts
            when 'median' then indicators.{{ measure }} {{ sign }} cuts.{{ measure }}_median
            when 'mean' then indicators.{{ measure }} {{ sign }} cuts.{{ measure }}_mean
            else indicators.{{ measure }} {{ sign }} as_of_dates.rfm_{{ measure }}
        end as is_{{ measure }}_high{{ "," if not loop.last }}
        {%- endfor %}
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
