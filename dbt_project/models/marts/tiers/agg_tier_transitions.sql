-- Transition matrix: how many customers went from which tier to which, per night.
with changes as (

    select * from {{ ref('fct_tier_changes') }}

)

select
    scheme,
    as_of_date,
    from_tier,
    to_tier,
    direction,
    cast(count(*) as integer) as customers
from changes
group by scheme, as_of_date, from_tier, to_tier, direction
