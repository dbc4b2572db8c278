-- Interactions over all sources.
with source as (

    select * from {{ ref('stg_interactions') }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.interaction_id,
    ids.customer_id,
    source.kind,
    coalesce(source.is_participation, false) as is_participation,
    source.occurred_at
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
