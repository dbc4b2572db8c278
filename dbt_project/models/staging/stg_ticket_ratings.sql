-- Ticket ratings of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'ticket_ratings'), ['source', 'rating_id'], 'rated_at') }}

),

renamed as (

    select
        source,
        rating_id,
        ticket_id,
        score,
        rated_at
    from newest

)

select
    source,
    rating_id,
    ticket_id,
    score,
    rated_at
from renamed
