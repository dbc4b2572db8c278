-- Ticket events of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'ticket_events'), ['source', 'event_id'], 'occurred_at') }}

),

renamed as (

    select
        source,
        event_id,
        ticket_id,
        kind,
        occurred_at
    from newest

)

select
    source,
    event_id,
    ticket_id,
    kind,
    occurred_at
from renamed
