-- The promoted churn model, as a table that people can read: each feature with its weight and direction.
with features as (

    select * from {{ source('pipeline', 'churn_model_features') }}

),

models as (

    select * from {{ source('pipeline', 'churn_model') }}

),

labels as (

    select named.*
    from {{ source('rules', 'churn_features') }} as named
    inner join {{ ref('int_rules_in_force') }} as in_force
        on named.rules_version = in_force.rules_version

)

select
    features.model_version,
    features.feature,
    coalesce(labels.label_en, features.feature) as label_en,
    coalesce(labels.label_zh, features.feature) as label_zh,
    cast(round(models.slope * features.coefficient, 6) as decimal(18, 6)) as weight,
    case when features.coefficient > 0 then 'raises' when features.coefficient < 0 then 'lowers' else 'none' end
        as direction,
    models.horizon_days,
    models.trained_until
from features
inner join models
    on features.model_version = models.model_version
left join labels
    on features.feature = labels.feature
