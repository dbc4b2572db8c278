-- Orders and returns of identified customers over all sources. A return (credit note) has negative amounts.
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

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.order_id,
    ids.customer_id,
    source.ordered_on,
    source.order_type,
    source.status,
    source.currency,
    source.channel,
    source.net_amount,
    source.gross_amount
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
