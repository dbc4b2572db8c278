-- Changes of tickets, typed. A resolved ticket without a time of its resolution was resolved when it was closed.
with source as (

    {{ newest_version(source('uci_incident_tickets', 'events'), ['number', 'sys_mod_count'], '_load_id') }}

),

renamed as (

    select
        number as ticket_id,
        cast(sys_mod_count as integer) as change_number,
        incident_state as state,
        caller_id as caller,
        cast({{ strip_non_digits('caller_id') }} as integer) as caller_number,
        {{ parse_day_first_timestamp('opened_at') }} as opened_at,
        {{ parse_day_first_timestamp('sys_updated_at') }} as changed_at,
        coalesce({{ parse_day_first_timestamp('resolved_at') }}, {{ parse_day_first_timestamp('closed_at') }})
            as resolved_at
    from source

)

select
    ticket_id,
    change_number,
    state,
    caller,
    caller_number,
    opened_at,
    changed_at,
    resolved_at
from renamed
