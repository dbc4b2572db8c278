-- One row per ticket: its last change says who called and when it was resolved, the first change out of state New is
-- the first response. Incidents are faults, none is a complaint; the log has neither ratings nor comments.
with events as (

    select * from {{ ref('stg_uci_incident_tickets__events') }}

),

ranked as (

    select
        ticket_id,
        caller_number,
        opened_at,
        resolved_at,
        min(case when state <> 'New' then changed_at end) over (partition by ticket_id) as first_response_at,
        row_number() over (partition by ticket_id order by change_number desc) as newest_rank
    from events

)

select
    ticket_id,
    'uci_incident_tickets' as customer_source,
    cast(caller_number as varchar) as source_customer_id,
    false as is_complaint,
    opened_at,
    first_response_at,
    resolved_at,
    cast(null as integer) as satisfaction,
    cast(null as date) as rated_on,
    cast(null as bigint) as comment_count
from ranked
where newest_rank = 1
