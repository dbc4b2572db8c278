-- Invoices of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'invoices'), ['source', 'invoice_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        invoice_id,
        order_id,
        customer_id as source_customer_id,
        invoiced_on,
        due_on,
        amount,
        paid_on,
        updated_at,
        customer_source
    from newest

)

select
    source,
    invoice_id,
    order_id,
    source_customer_id,
    invoiced_on,
    due_on,
    amount,
    paid_on,
    updated_at,
    customer_source
from renamed
