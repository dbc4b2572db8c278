-- The nights to compute, with the settings of the rules in force on each. The kind `baseline` marks the last
-- accepted night, recomputed from what is known now.
with as_of_dates as (

    select * from {{ source('pipeline', 'as_of_dates') }}

),

settings as (

    select * from {{ source('rules', 'settings') }}

),

pivoted as (

    select
        rules_version,
        max(case when setting = 'spend_basis' then value end) as spend_basis,
        max(case when setting = 'uncovered_window' then value end) as uncovered_window,
        max(case when setting = 'rfm_cuts' then value end) as rfm_cuts,
        cast(max(case when setting = 'high_potential_score' then value end) as decimal(18, 2)) as high_potential_score,
        cast(max(case when setting = 'expected_years' then value end) as decimal(18, 2)) as expected_years,
        cast(max(case when setting = 'rfm_recency_days' then value end) as decimal(18, 2)) as rfm_recency_days,
        cast(max(case when setting = 'rfm_frequency' then value end) as decimal(18, 2)) as rfm_frequency,
        cast(max(case when setting = 'rfm_monetary' then value end) as decimal(18, 2)) as rfm_monetary
    from settings
    group by rules_version

)

select
    as_of_dates.as_of_date,
    as_of_dates.rules_version,
    as_of_dates.kind,
    as_of_dates.spend_window_start,
    as_of_dates.spend_window_end,
    {{ months_before('as_of_dates.as_of_date', 12) }} as year_before,
    {{ months_before('as_of_dates.as_of_date', 24) }} as two_years_before,
    {{ months_before('as_of_dates.as_of_date', 3) }} as quarter_before,
    pivoted.spend_basis,
    pivoted.uncovered_window,
    pivoted.high_potential_score,
    pivoted.expected_years,
    pivoted.rfm_cuts,
    pivoted.rfm_recency_days,
    pivoted.rfm_frequency,
    pivoted.rfm_monetary
from as_of_dates
inner join pivoted
    on as_of_dates.rules_version = pivoted.rules_version
