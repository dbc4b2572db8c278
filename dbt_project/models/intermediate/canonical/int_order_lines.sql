-- Product lines of confirmed orders and returns, with customer, day and category, in the reporting currency at the rate
-- of their order. Lines of a return are negative, as their order is.
with source as (

    select * from {{ ref('stg_order_lines') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

products as (

    select * from {{ ref('int_products') }}

),

signed as (

    select
        source.source,
        source.order_id,
        source.line_id,
        orders.customer_id,
        orders.ordered_on,
        orders.order_type,
        orders.exchange_rate,
        source.product_id,
        source.category,
        case when orders.order_type = 'return' then -abs(source.quantity) else source.quantity end as quantity,
        case when orders.order_type = 'return' then -abs(source.net_amount) else source.net_amount end as net_amount,
        case when orders.order_type = 'return' then -abs(source.cost_amount) else source.cost_amount end as cost_amount
    from source
    inner join orders
        on
            source.source = orders.source
            and source.order_id = orders.order_id
    where
        orders.status = 'confirmed'
        and source.line_type = 'product'

)

select
    signed.source,
    signed.order_id,
    signed.line_id,
    signed.customer_id,
    signed.ordered_on,
    signed.order_type,
    signed.product_id,
    coalesce(products.category, signed.category) as category,
    signed.quantity,
    {{ in_reporting_currency('signed.net_amount', 'signed.exchange_rate') }} as net_amount,
    {{ in_reporting_currency('signed.cost_amount', 'signed.exchange_rate') }} as cost_amount
from signed
left join products
    on
        signed.source = products.source
        and signed.product_id = products.product_id
