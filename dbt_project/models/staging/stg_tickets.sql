-- Service tickets of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'tickets'), ['source', 'ticket_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        ticket_id,
        customer_id as source_customer_id,
        is_complaint,
        opened_at,
        first_response_at,
        resolved_at,
        satisfaction,
        rated_on,
        updated_at,
        customer_source
    from newest

)

select
    source,
    ticket_id,
    source_customer_id,
    is_complaint,
    opened_at,
    first_response_at,
    resolved_at,
    satisfaction,
    rated_on,
    updated_at,
    customer_source
from renamed
