-- Customers known on each as-of date: registered, or with a first order, by then. Grain of every indicator.
with customers as (

    select * from {{ ref('int_customers') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

first_orders as (

    select
        customer_id,
        min(case when order_count > 0 then ordered_on end) as first_order_on
    from {{ ref('int_customer_days') }}
    group by customer_id

)

select
    customers.customer_id,
    as_of_dates.as_of_date,
    customers.has_order_source,
    customers.registered_on,
    case when first_orders.first_order_on <= as_of_dates.as_of_date then first_orders.first_order_on end
        as first_order_on
from customers
cross join as_of_dates
left join first_orders
    on customers.customer_id = first_orders.customer_id
where
    coalesce(least(customers.registered_on, first_orders.first_order_on), as_of_dates.as_of_date)
    <= as_of_dates.as_of_date
