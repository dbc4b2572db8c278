-- Product lines; the shop tells no cost.
with lines as (

    select * from {{ ref('stg_online_retail__lines') }}

)

select
    order_id,
    line_id,
    product_id,
    quantity,
    net_amount,
    cast(null as decimal(18, 2)) as cost_amount
from lines
where is_product
