-- Service over the last 12 months: complaints, response and resolution hours, CSAT (share of ratings >= 4 of
-- 5, from tickets and surveys) and NPS. Counts and totals stand beside the means, so that groups of customers can
-- be averaged by ticket and by rating.
with tickets as (

    select * from {{ ref('int_tickets') }}

),

surveys as (

    select * from {{ ref('int_surveys') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

ticket_sums as (

    select
        tickets.customer_id,
        as_of_dates.as_of_date,
        sum(case when tickets.is_complaint then 1 else 0 end) as complaints,
        count(
            case when cast(tickets.first_response_at as date) <= as_of_dates.as_of_date then 1 end
        ) as responded_tickets,
        sum(
            case
                when cast(tickets.first_response_at as date) <= as_of_dates.as_of_date
                    then {{ hours_between('tickets.opened_at', 'tickets.first_response_at') }}
            end
        ) as first_response_hours_total,
        count(
            case when cast(tickets.resolved_at as date) <= as_of_dates.as_of_date then 1 end
        ) as resolved_tickets,
        sum(
            case
                when cast(tickets.resolved_at as date) <= as_of_dates.as_of_date
                    then {{ hours_between('tickets.opened_at', 'tickets.resolved_at') }}
            end
        ) as resolution_hours_total
    from tickets
    inner join as_of_dates
        on
            cast(tickets.opened_at as date) > as_of_dates.year_before
            and cast(tickets.opened_at as date) <= as_of_dates.as_of_date
    group by tickets.customer_id, as_of_dates.as_of_date

),

ratings as (

    select
        customer_id,
        satisfaction as score,
        rated_on
    from tickets
    where satisfaction is not null
    union all
    select
        customer_id,
        score,
        answered_on as rated_on
    from surveys
    where kind = 'CSAT'

),

rating_sums as (

    select
        ratings.customer_id,
        as_of_dates.as_of_date,
        count(*) as ratings,
        sum(case when ratings.score >= 4 then 1 else 0 end) as satisfied_ratings
    from ratings
    inner join as_of_dates
        on
            ratings.rated_on > as_of_dates.year_before
            and ratings.rated_on <= as_of_dates.as_of_date
    group by ratings.customer_id, as_of_dates.as_of_date

),

nps_sums as (

    select
        surveys.customer_id,
        as_of_dates.as_of_date,
        cast(
            100.0 * sum(
                case
                    when surveys.score >= 9 then 1
                    when surveys.score <= 6 then -1
                    else 0
                end
            ) / count(*) as decimal(18, 2)
        ) as nps
    from surveys
    inner join as_of_dates
        on
            surveys.answered_on > as_of_dates.year_before
            and surveys.answered_on <= as_of_dates.as_of_date
    where surveys.kind = 'NPS'
    group by surveys.customer_id, as_of_dates.as_of_date

),

keys as (

    select
        customer_id,
        as_of_date
    from ticket_sums
    union
    select
        customer_id,
        as_of_date
    from rating_sums
    union
    select
        customer_id,
        as_of_date
    from nps_sums

)

select
    keys.customer_id,
    keys.as_of_date,
    cast(ticket_sums.complaints as integer) as complaints,
    cast(
        {{ ratio('ticket_sums.first_response_hours_total', 'ticket_sums.responded_tickets') }} as decimal(18, 2)
    ) as first_response_hours,
    cast(
        {{ ratio('ticket_sums.resolution_hours_total', 'ticket_sums.resolved_tickets') }} as decimal(18, 2)
    ) as resolution_hours,
    ticket_sums.responded_tickets,
    ticket_sums.first_response_hours_total,
    ticket_sums.resolved_tickets,
    ticket_sums.resolution_hours_total,
    rating_sums.ratings,
    rating_sums.satisfied_ratings,
    {{ ratio('rating_sums.satisfied_ratings', 'rating_sums.ratings') }} as csat,
    nps_sums.nps
from keys
left join ticket_sums
    on
        keys.customer_id = ticket_sums.customer_id
        and keys.as_of_date = ticket_sums.as_of_date
left join rating_sums
    on
        keys.customer_id = rating_sums.customer_id
        and keys.as_of_date = rating_sums.as_of_date
left join nps_sums
    on
        keys.customer_id = nps_sums.customer_id
        and keys.as_of_date = nps_sums.as_of_date
