-- The nights as people read them. The rule is in int_nights.
with nights as (

    select * from {{ ref('int_nights') }}

)

select
    {{ promised_columns() }}
from nights
