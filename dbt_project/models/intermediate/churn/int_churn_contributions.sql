-- What each feature of the promoted churn model adds to the log-odds of a customer, against the average customer of
-- the training: coefficient x (value - mean) / scale, before calibration. The value is transformed, imputed where
-- it is missing, and held between the bounds of the training. No promoted model: no rows.
{%- set names = var('churn_features') %}
with features as (

    select * from {{ ref('int_churn_features') }}

),

models as (

    select * from {{ source('pipeline', 'churn_model') }}

),

parameters as (

    select
        {%- for name in names %}
        {%- for part in ['lower_bound', 'upper_bound', 'imputation', 'mean', 'scale', 'coefficient'] %}
        max(case when feature = '{{ name }}' then {{ part }} end) as {{ name }}__{{ part }},
        {%- endfor %}
        max(case when feature = '{{ name }}' and transform = 'log' then 1 else 0 end) as {{ name }}__is_log,
        {%- endfor %}
        model_version
    from {{ source('pipeline', 'churn_model_features') }}
    group by model_version

)

select
    features.customer_id,
    features.as_of_date,
    {%- for name in names %}
    {%- set value = 'cast(features.' ~ name ~ ' as double)' %}
    case
        when parameters.{{ name }}__coefficient is null then cast(0 as double)
        else
            parameters.{{ name }}__coefficient * (
                least(
                    greatest(
                        case
                            when features.{{ name }} is null then parameters.{{ name }}__imputation
                            when parameters.{{ name }}__is_log = 1 then ln(1 + greatest({{ value }}, 0))
                            else {{ value }}
                        end,
                        parameters.{{ name }}__lower_bound
                    ),
                    parameters.{{ name }}__upper_bound
                ) - parameters.{{ name }}__mean
            ) / parameters.{{ name }}__scale
    end as {{ name }},
    {%- endfor %}
    models.model_version
from features
cross join models
inner join parameters
    on models.model_version = parameters.model_version
where features.is_active_buyer
