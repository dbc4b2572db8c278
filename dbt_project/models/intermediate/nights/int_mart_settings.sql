-- Settings of the RFM, profile, outcome, candidate and satisfaction marts, as in force on each as-of date.
{%- set whole = [
    'outcome_days', 'profile_top_values', 'upgrade_potential_rank', 'phase_out_idle_days', 'driver_min_cases'
] %}
{%- set numbers = [
    'rfm_risk_recency_days', 'rfm_risk_frequency', 'rfm_risk_monetary', 'rfm_important_recency_days',
    'rfm_important_frequency', 'rfm_important_monetary', 'rfm_high_score', 'rfm_middle_score', 'upgrade_distance',
    'cost_cut_margin', 'low_csat', 'driver_excess'
] %}
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

settings as (

    select * from {{ source('rules', 'settings') }}

)

select
    as_of_dates.as_of_date,
    {{ settings_as_columns(whole, numbers) }},
    as_of_dates.rules_version
from as_of_dates
inner join settings
    on as_of_dates.rules_version = settings.rules_version
group by as_of_dates.as_of_date, as_of_dates.rules_version
