-- Which customer each source id belongs to.
with ids as (

    select * from {{ ref('int_customer_ids') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

)

select
    ids.customer_id,
    ids.source,
    ids.source_customer_id
from ids
inner join customers
    on ids.customer_id = customers.customer_id
