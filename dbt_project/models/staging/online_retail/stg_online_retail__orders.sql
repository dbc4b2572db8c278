-- One order per invoice; an invoice whose number starts with C returns goods: it lowers spend on its day and
-- is no order. Amounts are the sum of product lines; the shop's prices carry no separate tax.
with lines as (

    select * from {{ ref('stg_online_retail__lines') }}

)

select
    order_id,
    'online_retail' as customer_source,
    source_customer_id,
    min(ordered_on) as ordered_on,
    case when is_return then 'return' else 'sale' end as order_type,
    'confirmed' as status,
    'GBP' as currency,
    'online' as channel,
    sum(net_amount) as net_amount,
    sum(net_amount) as gross_amount
from lines
where is_product
group by
    order_id,
    source_customer_id,
    is_return
