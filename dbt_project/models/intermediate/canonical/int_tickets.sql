-- Service tickets over all sources, with the last rating; a ticket that does not say when it was first answered was
-- so at its first event of kind response.
with tickets as (

    select * from {{ ref('stg_tickets') }}

),

ratings as (

    select
        *,
        row_number() over (partition by source, ticket_id order by rated_at desc, rating_id desc) as rating_rank
    from {{ ref('stg_ticket_ratings') }}

),

responses as (

    select
        source,
        ticket_id,
        min(occurred_at) as first_response_at
    from {{ ref('stg_ticket_events') }}
    where kind = 'response'
    group by source, ticket_id

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    tickets.source,
    tickets.ticket_id,
    ids.customer_id,
    tickets.is_complaint,
    tickets.opened_at,
    coalesce(tickets.first_response_at, responses.first_response_at) as first_response_at,
    tickets.resolved_at,
    cast(coalesce(ratings.score, tickets.satisfaction) as integer) as satisfaction,
    coalesce(cast(ratings.rated_at as date), tickets.rated_on) as rated_on
from tickets
left join ratings
    on
        tickets.source = ratings.source
        and tickets.ticket_id = ratings.ticket_id
        and ratings.rating_rank = 1
left join responses
    on
        tickets.source = responses.source
        and tickets.ticket_id = responses.ticket_id
left join ids
    on
        tickets.customer_source = ids.source
        and tickets.source_customer_id = ids.source_customer_id
