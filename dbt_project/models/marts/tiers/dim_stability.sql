-- When the effective tier of a scheme may move, in force on the night; a scheme without a row follows the score.
with stability as (

    select * from {{ source('rules', 'stability') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    stability.scheme,
    stability.enter_margin,
    stability.exit_margin,
    stability.min_dwell_days,
    stability.spend_change,
    stability.idle_months,
    stability.review
from stability
inner join in_force
    on stability.rules_version = in_force.rules_version
