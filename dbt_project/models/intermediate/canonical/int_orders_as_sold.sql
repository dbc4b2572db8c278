-- Orders and returns over all sources, in the currency they were sold in. A return (credit note) has negative amounts.
with source as (

    {{ union_sources('orders', {
        'order_id': 'varchar',
        'customer_source': 'varchar',
        'source_customer_id': 'varchar',
        'ordered_on': 'date',
        'order_type': 'varchar',
        'status': 'varchar',
        'currency': 'varchar',
        'channel': 'varchar',
        'net_amount': 'decimal(18, 2)',
        'gross_amount': 'decimal(18, 2)',
    }) }}

)

select
    source,
    order_id,
    customer_source,
    source_customer_id,
    ordered_on,
    order_type,
    status,
    currency,
    channel,
    net_amount,
    gross_amount
from source
