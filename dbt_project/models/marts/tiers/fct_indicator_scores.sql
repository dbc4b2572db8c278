-- The scores of each indicator as people read them. The rule stands in int_indicator_scores.
with scores as (

    select * from {{ ref('int_indicator_scores') }}

)

select
    customer_id,
    scheme,
    dimension,
    indicator,
    as_of_date,
    raw_value,
    raw_level,
    score,
    weight_in_dimension,
    weight,
    points,
    status
from scores
