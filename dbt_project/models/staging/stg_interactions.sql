-- Interactions of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'interactions'), ['source', 'interaction_id'], 'occurred_at') }}

),

renamed as (

    select
        source,
        interaction_id,
        customer_id as source_customer_id,
        kind,
        is_participation,
        contact_phone,
        occurred_at,
        customer_source
    from newest

)

select
    source,
    interaction_id,
    source_customer_id,
    kind,
    is_participation,
    contact_phone,
    occurred_at,
    customer_source
from renamed
