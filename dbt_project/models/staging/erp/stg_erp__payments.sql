-- Invoices with the day they were paid in full (the last payment that completes the amount); unpaid ones too.
with invoices as (

    {{ newest_version(source('erp', 'invoices'), ['invoice_no'], 'updated_at') }}

),

payments as (

    {{ newest_version(source('erp', 'payments'), ['payment_no'], 'updated_at') }}

),

invoices_renamed as (

    select
        invoice_no as invoice_id,
        order_no as order_id,
        'erp' as customer_source,
        customer_code as source_customer_id,
        {{ parse_date('invoice_date') }} as invoiced_on,
        {{ parse_date('due_date') }} as due_on,
        {{ parse_money('gross_amount') }} as amount
    from invoices

),

payments_renamed as (

    select
        payment_no as payment_id,
        invoice_no as invoice_id,
        {{ parse_date('paid_date') }} as paid_on,
        {{ parse_money('amount') }} as paid_amount
    from payments

),

running as (

    select
        invoice_id,
        paid_on,
        sum(paid_amount) over (
            partition by invoice_id
            order by paid_on, payment_id
            rows between unbounded preceding and current row
        ) as paid_so_far
    from payments_renamed

),

settled as (

    select
        running.invoice_id,
        min(running.paid_on) as paid_on
    from running
    inner join invoices_renamed
        on running.invoice_id = invoices_renamed.invoice_id
    where running.paid_so_far >= invoices_renamed.amount
    group by running.invoice_id

)

select
    invoices_renamed.invoice_id,
    invoices_renamed.order_id,
    invoices_renamed.customer_source,
    invoices_renamed.source_customer_id,
    invoices_renamed.invoiced_on,
    invoices_renamed.due_on,
    settled.paid_on,
    invoices_renamed.amount
from invoices_renamed
left join settled
    on invoices_renamed.invoice_id = settled.invoice_id
