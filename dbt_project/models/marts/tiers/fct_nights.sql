-- The nights as people read them. The rule stands in int_nights.
with nights as (

    select * from {{ ref('int_nights') }}

)

select
    as_of_date,
    rules_version,
    kind
from nights
