-- The dictionary of indicators in force on the night.
with indicators as (

    select * from {{ source('rules', 'indicators') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    indicators.indicator,
    indicators.label_en,
    indicators.label_zh,
    indicators.unit,
    indicators.definition,
    indicators.formula,
    indicators.source,
    indicators.time_window
from indicators
inner join in_force
    on indicators.rules_version = in_force.rules_version
