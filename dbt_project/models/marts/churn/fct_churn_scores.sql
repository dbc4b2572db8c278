-- Churn probability of every customer that is not lost already, by the promoted logistic model and its calibration:
-- 1 / (1 + exp(-(slope x (intercept + sum of contributions) + offset))). Classes by settings; without a promoted
-- model there are no rows and the rule signals stand alone.
{%- set classes = {'high': ('high risk', '高风险'), 'medium': ('medium risk', '中风险'), 'low': ('low risk', '低风险')} %}
with contributions as (

    select * from {{ ref('int_churn_contributions') }}

),

models as (

    select * from {{ source('pipeline', 'churn_model') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

reasons as (

    select
        customer_id,
        as_of_date,
        {{ join_texts('label_en', 'reason_rank') }} as reasons_en,
        {{ join_texts('label_zh', 'reason_rank') }} as reasons_zh
    from {{ ref('fct_churn_reasons') }}
    group by customer_id, as_of_date

),

summed as (

    select
        contributions.customer_id,
        contributions.as_of_date,
        models.model_version,
        models.horizon_days,
        models.slope * (
            models.intercept
            {%- for name in var('churn_features') %}
            + contributions.{{ name }}
            {%- endfor %}
        ) + models.calibration_offset as log_odds
    from contributions
    inner join models
        on contributions.model_version = models.model_version

),

scored as (

    select
        customer_id,
        as_of_date,
        model_version,
        horizon_days,
        -- exp of a great number overflows on some engines; beyond 40 the probability is 0 or 1 to 17 digits anyway.
        cast(round(1 / (1 + exp(-least(greatest(log_odds, -40), 40))), 10) as decimal(12, 10)) as probability
    from summed

),

classed as (

    select
        scored.customer_id,
        scored.as_of_date,
        scored.model_version,
        scored.horizon_days,
        scored.probability,
        case
            when scored.probability >= settings.churn_high_probability then 'high'
            when scored.probability >= settings.churn_medium_probability then 'medium'
            else 'low'
        end as risk_class
    from scored
    inner join settings
        on scored.as_of_date = settings.as_of_date

)

select
    classed.customer_id,
    classed.as_of_date,
    classed.probability,
    classed.risk_class,
    case classed.risk_class
        {%- for code, (label_en, label_zh) in classes.items() %}
        when '{{ code }}' then '{{ label_en }}'
        {%- endfor %}
    end as label_en,
    case classed.risk_class
        {%- for code, (label_en, label_zh) in classes.items() %}
        when '{{ code }}' then '{{ label_zh }}'
        {%- endfor %}
    end as label_zh,
    reasons.reasons_en,
    reasons.reasons_zh,
    classed.horizon_days,
    classed.model_version
from classed
left join reasons
    on
        classed.customer_id = reasons.customer_id
        and classed.as_of_date = reasons.as_of_date
