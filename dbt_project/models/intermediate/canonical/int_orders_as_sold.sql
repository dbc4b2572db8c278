-- Orders and returns over all sources, in the currency they were sold in; where a source has order lines only, its
-- orders are made from them (product lines; charges are no spend). A return (credit note) has negative amounts;
-- where no type is named, an order below zero is one.
with orders as (

    select * from {{ ref('stg_orders') }}

),

lines as (

    select * from {{ ref('stg_order_lines') }}

),

with_orders as (

    select source from {{ source('pipeline', 'input_tables') }}
    where input_table = 'orders'

),

from_lines as (

    select
        lines.source,
        lines.order_id,
        lines.customer_source,
        lines.source_customer_id,
        min(lines.ordered_on) as ordered_on,
        lines.order_type,
        min(coalesce(lines.status, 'confirmed')) as status,
        min(lines.currency) as currency,
        min(lines.channel) as channel,
        cast(sum(lines.net_amount) as decimal(18, 2)) as net_amount,
        cast(sum(lines.net_amount) as decimal(18, 2)) as gross_amount
    from lines
    where
        lines.line_type = 'product'
        and lines.source not in (select with_orders.source from with_orders)
    group by
        lines.source,
        lines.order_id,
        lines.customer_source,
        lines.source_customer_id,
        lines.order_type

),

together as (

    select
        orders.source,
        orders.order_id,
        orders.customer_source,
        orders.source_customer_id,
        orders.ordered_on,
        orders.order_type,
        orders.status,
        orders.currency,
        orders.channel,
        orders.net_amount,
        orders.gross_amount
    from orders
    union all
    select
        from_lines.source,
        from_lines.order_id,
        from_lines.customer_source,
        from_lines.source_customer_id,
        from_lines.ordered_on,
        from_lines.order_type,
        from_lines.status,
        from_lines.currency,
        from_lines.channel,
        from_lines.net_amount,
        from_lines.gross_amount
    from from_lines

),

typed as (

    select
        *,
        coalesce(order_type, case when net_amount < 0 then 'return' else 'sale' end) as kind
    from together

)

select
    source,
    order_id,
    customer_source,
    source_customer_id,
    ordered_on,
    kind as order_type,
    status,
    currency,
    channel,
    case when kind = 'return' then -abs(net_amount) else net_amount end as net_amount,
    case when kind = 'return' then -abs(gross_amount) else gross_amount end as gross_amount
from typed
