-- Service tickets over all sources.
with source as (

    {{ union_sources('tickets', {
        'ticket_id': 'varchar',
        'customer_source': 'varchar',
        'source_customer_id': 'varchar',
        'is_complaint': 'boolean',
        'opened_at': 'timestamp',
        'first_response_at': 'timestamp',
        'resolved_at': 'timestamp',
        'satisfaction': 'integer',
        'rated_on': 'date',
        'comment_count': 'bigint',
    }) }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.ticket_id,
    ids.customer_id,
    source.is_complaint,
    source.opened_at,
    source.first_response_at,
    source.resolved_at,
    source.satisfaction,
    source.rated_on,
    source.comment_count
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
