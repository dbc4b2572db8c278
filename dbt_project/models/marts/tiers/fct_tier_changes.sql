-- The changes of tiers as people read them. The rule stands in int_tier_changes.
with changes as (

    select * from {{ ref('int_tier_changes') }}

)

select
    customer_id,
    scheme,
    as_of_date,
    from_tier,
    to_tier,
    direction,
    reason,
    cause,
    annual_spend,
    from_score,
    to_score,
    data_points,
    correction_points,
    rule_points
from changes
