-- Interactions over all sources.
with source as (

    {{ union_sources('interactions', {
        'interaction_id': 'varchar',
        'customer_source': 'varchar',
        'source_customer_id': 'varchar',
        'kind': 'varchar',
        'is_participation': 'boolean',
        'occurred_at': 'timestamp',
    }) }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.interaction_id,
    ids.customer_id,
    source.kind,
    source.is_participation,
    source.occurred_at
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
