-- Which tier held when: half-open intervals [valid_from, valid_to), without gap or overlap per customer and
-- scheme while the customer is in the scheme.
with changes as (

    select * from {{ ref('fct_tier_changes') }}

),

spells as (

    select
        customer_id,
        scheme,
        to_tier as tier,
        as_of_date as valid_from,
        lead(as_of_date) over (partition by customer_id, scheme order by as_of_date) as valid_to
    from changes

)

select
    customer_id,
    scheme,
    tier,
    valid_from,
    valid_to
from spells
where tier is not null
