-- Customer x day: confirmed orders and what they brought. The small base that every as-of indicator reads.
with orders as (

    select * from {{ ref('int_orders') }}

),

lines as (

    select * from {{ ref('int_order_lines') }}

),

order_days as (

    select
        customer_id,
        ordered_on,
        sum(case when order_type = 'sale' then 1 else 0 end) as order_count,
        sum(net_amount) as net_amount,
        sum(gross_amount) as gross_amount
    from orders
    where status = 'confirmed'
    group by customer_id, ordered_on

),

line_days as (

    select
        customer_id,
        ordered_on,
        sum(net_amount) as lines_net_amount,
        sum(cost_amount) as lines_cost_amount,
        sum(case when cost_amount is null then 1 else 0 end) as lines_without_cost
    from lines
    group by customer_id, ordered_on

)

select
    order_days.customer_id,
    order_days.ordered_on,
    order_days.order_count,
    order_days.net_amount,
    order_days.gross_amount,
    coalesce(line_days.lines_net_amount, 0) as lines_net_amount,
    line_days.lines_cost_amount,
    coalesce(line_days.lines_without_cost, 0) as lines_without_cost
from order_days
left join line_days
    on
        order_days.customer_id = line_days.customer_id
        and order_days.ordered_on = line_days.ordered_on
