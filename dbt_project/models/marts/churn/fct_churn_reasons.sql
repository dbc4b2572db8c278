-- Why a customer's churn probability is higher than that of the average customer of the training: the features that
-- add most to its log-odds, at most setting churn_reasons of them.
with contributions as (

    select * from {{ ref('int_churn_contributions') }}

),

models as (

    select * from {{ source('pipeline', 'churn_model') }}

),

features as (

    select * from {{ ref('fct_churn_features') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

labels as (

    select * from {{ source('rules', 'churn_features') }}

),

unpivoted as (

    {% for name in var('churn_features') -%}
    select
        contributions.customer_id,
        contributions.as_of_date,
        '{{ name }}' as feature,
        contributions.{{ name }} as contribution
    from contributions
    where contributions.{{ name }} > 0
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

ranked as (

    select
        customer_id,
        as_of_date,
        feature,
        contribution,
        row_number() over (
            partition by customer_id, as_of_date
            order by contribution desc, feature asc
        ) as reason_rank
    from unpivoted

),

kept as (

    select
        ranked.customer_id,
        ranked.as_of_date,
        ranked.feature,
        ranked.contribution,
        ranked.reason_rank,
        settings.rules_version
    from ranked
    inner join settings
        on
            ranked.as_of_date = settings.as_of_date
            and ranked.reason_rank <= settings.churn_reasons

)

select
    kept.customer_id,
    kept.as_of_date,
    cast(kept.reason_rank as integer) as reason_rank,
    kept.feature,
    coalesce(labels.label_en, kept.feature) as label_en,
    coalesce(labels.label_zh, kept.feature) as label_zh,
    case kept.feature
        {%- for name in var('churn_features') %}
        when '{{ name }}' then cast(features.{{ name }} as decimal(24, 6))
        {%- endfor %}
    end as value,
    cast(round(models.slope * kept.contribution, 6) as decimal(18, 6)) as contribution
from kept
cross join models
inner join features
    on
        kept.customer_id = features.customer_id
        and kept.as_of_date = features.as_of_date
left join labels
    on
        kept.rules_version = labels.rules_version
        and kept.feature = labels.feature
