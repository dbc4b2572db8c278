-- Tickets with the customer's rating (the last one counts) and the number of comments, newest version of each.
with tickets as (

    {{ newest_version(source('ticketing', 'tickets'), ['ticket_id'], 'updated_at') }}

),

ratings as (

    {{ newest_version(source('ticketing', 'ratings'), ['rating_id'], 'rated_at') }}

),

comments as (

    {{ newest_version(source('ticketing', 'comments'), ['comment_id'], 'created_at') }}

),

last_ratings as (

    select
        ticket_id,
        score,
        rated_at,
        row_number() over (partition by ticket_id order by rated_at desc, rating_id desc) as rating_rank
    from ratings

),

comment_counts as (

    select
        ticket_id,
        count(*) as comment_count
    from comments
    group by ticket_id

),

renamed as (

    select
        tickets.ticket_id,
        'crm' as customer_source,
        tickets.account_id as source_customer_id,
        tickets.type = 'complaint' as is_complaint,
        {{ parse_timestamp('tickets.opened_at') }} as opened_at,
        {{ parse_timestamp('tickets.first_response_at') }} as first_response_at,
        {{ parse_timestamp('tickets.resolved_at') }} as resolved_at,
        try_cast(last_ratings.score as integer) as satisfaction,
        {{ parse_date('last_ratings.rated_at') }} as rated_on,
        coalesce(comment_counts.comment_count, 0) as comment_count
    from tickets
    left join last_ratings
        on
            tickets.ticket_id = last_ratings.ticket_id
            and last_ratings.rating_rank = 1
    left join comment_counts
        on tickets.ticket_id = comment_counts.ticket_id

)

select
    ticket_id,
    customer_source,
    source_customer_id,
    is_complaint,
    opened_at,
    first_response_at,
    resolved_at,
    satisfaction,
    rated_on,
    comment_count
from renamed
