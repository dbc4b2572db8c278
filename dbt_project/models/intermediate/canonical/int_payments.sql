-- Invoices with due and paid day, over all sources, in the reporting currency at their order's rate.
with source as (

    {{ union_sources('payments', {
        'invoice_id': 'varchar',
        'order_id': 'varchar',
        'customer_source': 'varchar',
        'source_customer_id': 'varchar',
        'invoiced_on': 'date',
        'due_on': 'date',
        'paid_on': 'date',
        'amount': 'decimal(18, 2)',
    }) }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

),

orders as (

    select * from {{ ref('int_orders') }}

)

select
    source.source,
    source.invoice_id,
    ids.customer_id,
    source.invoiced_on,
    source.due_on,
    source.paid_on,
    -- An invoice that names no order is in the reporting currency.
    {{ in_reporting_currency(
        'source.amount', 'case when source.order_id is null then 1 else orders.exchange_rate end'
    ) }} as amount
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
left join orders
    on
        source.source = orders.source
        and source.order_id = orders.order_id
