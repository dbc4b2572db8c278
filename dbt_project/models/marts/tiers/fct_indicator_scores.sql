-- The scores of each indicator as people read them. The rule is in int_indicator_scores.
{{ config(materialized='view') }}
with scores as (

    select * from {{ ref('int_indicator_scores') }}

)

select
    {{ promised_columns() }}
from scores
