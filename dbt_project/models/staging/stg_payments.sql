-- Payments of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'payments'), ['source', 'payment_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        payment_id,
        invoice_id,
        paid_on,
        amount,
        updated_at
    from newest

)

select
    source,
    payment_id,
    invoice_id,
    paid_on,
    amount,
    updated_at
from renamed
