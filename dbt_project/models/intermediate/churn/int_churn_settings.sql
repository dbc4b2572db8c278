-- Settings of churn, lifetime value and opportunities, as in force on each as-of date.
{%- set whole = [
    'churn_horizon_days', 'churn_active_days', 'churn_reasons', 'churn_login_min', 'churn_idle_months',
    'churn_complaint_increase', 'churn_order_min', 'churn_high_signals', 'clv_horizon_days', 'clv_min_customers'
] %}
{%- set numbers = [
    'churn_high_probability', 'churn_medium_probability', 'churn_login_drop', 'churn_order_slump',
    'opportunity_min_coverage'
] %}
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

settings as (

    select * from {{ source('rules', 'settings') }}

)

select
    as_of_dates.as_of_date,
    as_of_dates.kind,
    {{ settings_as_columns(whole, numbers) }},
    as_of_dates.rules_version
from as_of_dates
inner join settings
    on as_of_dates.rules_version = settings.rules_version
group by as_of_dates.as_of_date, as_of_dates.kind, as_of_dates.rules_version
