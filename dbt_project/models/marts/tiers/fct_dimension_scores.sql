-- The scores of each dimension as people read them. The rule is in int_dimension_scores.
{{ config(materialized='view') }}
with scores as (

    select * from {{ ref('int_dimension_scores') }}

)

select
    {{ promised_columns() }}
from scores
