-- Invoices with due and paid day, over all sources.
with source as (

    {{ union_sources('payments', {
        'invoice_id': 'varchar',
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

)

select
    source.source,
    source.invoice_id,
    ids.customer_id,
    source.invoiced_on,
    source.due_on,
    source.paid_on,
    source.amount
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
