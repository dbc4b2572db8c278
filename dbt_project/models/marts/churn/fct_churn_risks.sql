-- The churn-risk list: customers of high or medium risk by the model, or with a rule signal, with the spend at
-- stake, the account manager and what to do. Without a promoted model the signals alone decide: several at once
-- (churn_high_signals) are a high risk, one is a medium one.
{%- set advice = {
    'rescue': (
        'call within a week, with the account manager and an offer that answers the reasons',
        '一周内由客户经理致电，针对原因提出挽留方案'
    ),
    'complaints': (
        'settle the complaints first, then visit', '先解决投诉，再安排回访'
    ),
    'contact': ('contact within the month and ask about the next order', '本月内联系，了解下一次采购计划'),
    'watch': ('watch; look again after the next order is due', '持续观察，在预计下单时间后复查'),
} %}
with features as (

    select * from {{ ref('fct_churn_features') }}

),

scores as (

    select * from {{ ref('fct_churn_scores') }}

),

signals as (

    select
        customer_id,
        as_of_date,
        count(*) as signal_count,
        max(case when signal = 'complaints_up' then 1 else 0 end) as complaints_up,
        {{ join_texts('signal', 'signal') }} as signals,
        {{ join_texts('label_en', 'signal') }} as signals_en,
        {{ join_texts('label_zh', 'signal') }} as signals_zh
    from {{ ref('fct_churn_signals') }}
    group by customer_id, as_of_date

),

customers as (

    select * from {{ ref('int_customers') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

classed as (

    select
        features.customer_id,
        features.as_of_date,
        features.last_order_on,
        features.spend_365d,
        scores.probability,
        case when scores.risk_class is null then 'signals' else 'model' end as basis,
        coalesce(
            scores.risk_class,
            case when signals.signal_count >= coalesce(settings.churn_high_signals, 2) then 'high' else 'medium' end
        ) as risk_class,
        scores.reasons_en,
        scores.reasons_zh,
        signals.signals,
        signals.signals_en,
        signals.signals_zh,
        signals.complaints_up,
        coalesce(signals.signal_count, 0) as signal_count
    from features
    inner join settings
        on features.as_of_date = settings.as_of_date
    left join scores
        on
            features.customer_id = scores.customer_id
            and features.as_of_date = scores.as_of_date
    left join signals
        on
            features.customer_id = signals.customer_id
            and features.as_of_date = signals.as_of_date
    where scores.risk_class in ('high', 'medium') or signals.signal_count > 0

),

listed as (

    select
        classed.*,
        case
            when classed.complaints_up = 1 then 'complaints'
            when classed.risk_class = 'high' then 'rescue'
            when classed.risk_class = 'medium' then 'contact'
            else 'watch'
        end as advice
    from classed

)

select
    listed.customer_id,
    listed.as_of_date,
    customers.customer_name,
    customers.owner_name as owner,
    listed.basis,
    listed.probability,
    listed.risk_class,
    listed.reasons_en,
    listed.reasons_zh,
    cast(listed.signal_count as integer) as signal_count,
    listed.signals,
    listed.signals_en,
    listed.signals_zh,
    listed.last_order_on,
    listed.spend_365d,
    cast(
        round(cast(listed.probability as double) * cast(greatest(listed.spend_365d, 0) as double), 2)
        as decimal(18, 2)
    ) as spend_at_risk,
    case listed.advice
        {%- for code, (text_en, text_zh) in advice.items() %}
        when '{{ code }}' then '{{ text_en }}'
        {%- endfor %}
    end as advice_en,
    case listed.advice
        {%- for code, (text_en, text_zh) in advice.items() %}
        when '{{ code }}' then '{{ text_zh }}'
        {%- endfor %}
    end as advice_zh
from listed
left join customers
    on listed.customer_id = customers.customer_id
