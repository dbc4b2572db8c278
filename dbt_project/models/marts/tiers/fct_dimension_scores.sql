-- The scores of each dimension as people read them. The rule stands in int_dimension_scores.
with scores as (

    select * from {{ ref('int_dimension_scores') }}

)

select
    customer_id,
    scheme,
    dimension,
    as_of_date,
    score,
    weight,
    level
from scores
