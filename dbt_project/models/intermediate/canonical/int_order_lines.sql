-- Lines of confirmed orders and returns, with customer, day and category, in the reporting currency at the rate of
-- their order.
with source as (

    {{ union_sources('order_lines', {
        'order_id': 'varchar',
        'line_id': 'varchar',
        'product_id': 'varchar',
        'quantity': 'decimal(18, 3)',
        'net_amount': 'decimal(18, 2)',
        'cost_amount': 'decimal(18, 2)',
    }) }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

products as (

    select * from {{ ref('int_products') }}

)

select
    source.source,
    source.order_id,
    source.line_id,
    orders.customer_id,
    orders.ordered_on,
    orders.order_type,
    source.product_id,
    products.category,
    source.quantity,
    {{ in_reporting_currency('source.net_amount', 'orders.exchange_rate') }} as net_amount,
    {{ in_reporting_currency('source.cost_amount', 'orders.exchange_rate') }} as cost_amount
from source
inner join orders
    on
        source.source = orders.source
        and source.order_id = orders.order_id
left join products
    on
        source.source = products.source
        and source.product_id = products.product_id
where orders.status = 'confirmed'
