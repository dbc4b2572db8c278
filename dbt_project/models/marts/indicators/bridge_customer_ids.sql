-- Which customer each source id belongs to. A record gives its name to an id (own_id); where this is not the id of
-- its customer, it is an alias: the customer may once have been known by it.
with ids as (

    select * from {{ ref('int_customer_ids') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

)

select
    ids.customer_id,
    ids.source,
    ids.source_customer_id,
    ids.source || '-' || ids.source_customer_id as own_id,
    ids.method,
    ids.decided_on
from ids
inner join customers
    on ids.customer_id = customers.customer_id
