-- Every order, ticket and payment belongs to a known customer.
select
    source,
    order_id as id
from {{ ref('int_orders') }}
where customer_id is null
union all
select
    source,
    invoice_id as id
from {{ ref('int_payments') }}
where customer_id is null
