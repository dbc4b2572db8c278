-- Invoices with due day and the day they were paid in full (the payment that completes the amount), over all sources,
-- in the reporting currency at their order's rate. Whether an invoice was paid is known where its source has payments
-- or says so itself; one whose payment waits in quarantine is unknown, not late.
with invoices as (

    select * from {{ ref('stg_invoices') }}

),

payments as (

    select * from {{ ref('stg_payments') }}

),

with_payments as (

    select source from {{ source('pipeline', 'input_tables') }}
    where input_table = 'payments'

),

running as (

    select
        payments.source,
        payments.invoice_id,
        payments.paid_on,
        sum(payments.amount) over (
            partition by payments.source, payments.invoice_id
            order by payments.paid_on, payments.payment_id
            rows between unbounded preceding and current row
        ) as paid_so_far
    from payments

),

settled as (

    select
        running.source,
        running.invoice_id,
        min(running.paid_on) as paid_on
    from running
    inner join invoices
        on
            running.source = invoices.source
            and running.invoice_id = invoices.invoice_id
    where running.paid_so_far >= invoices.amount
    group by running.source, running.invoice_id

),

source as (

    select
        invoices.source,
        invoices.invoice_id,
        invoices.order_id,
        invoices.customer_source,
        invoices.source_customer_id,
        invoices.invoiced_on,
        invoices.due_on,
        coalesce(settled.paid_on, invoices.paid_on) as paid_on,
        invoices.amount
    from invoices
    left join settled
        on
            invoices.source = settled.source
            and invoices.invoice_id = settled.invoice_id
    left join {{ source('pipeline', 'waiting_payments') }} as waiting
        on
            invoices.source = waiting.source
            and invoices.invoice_id = waiting.invoice_id
    where
        coalesce(settled.paid_on, invoices.paid_on) is not null
        or (waiting.invoice_id is null and invoices.source in (select with_payments.source from with_payments))

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
