-- Churn features from tickets and ratings: complaints, response and resolution times, satisfaction. An answer, a
-- resolution or a rating that came after the as-of date is not known yet: the ticket is unanswered, open, unrated.
with tickets as (

    select * from {{ ref('int_tickets') }}

),

surveys as (

    select * from {{ ref('int_surveys') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

aged_tickets as (

    select
        tickets.customer_id,
        as_of_dates.as_of_date,
        tickets.is_complaint,
        {{ days_between('cast(tickets.opened_at as date)', 'as_of_dates.as_of_date') }} as age_days,
        coalesce(cast(tickets.resolved_at as date) <= as_of_dates.as_of_date, false) as is_resolved,
        case
            when cast(tickets.first_response_at as date) <= as_of_dates.as_of_date
                then {{ hours_between('tickets.opened_at', 'tickets.first_response_at') }}
        end as response_hours,
        case
            when cast(tickets.resolved_at as date) <= as_of_dates.as_of_date
                then {{ hours_between('tickets.opened_at', 'tickets.resolved_at') }}
        end as resolution_hours
    from tickets
    inner join as_of_dates
        on cast(tickets.opened_at as date) <= as_of_dates.as_of_date

),

ticket_features as (

    select
        customer_id,
        as_of_date,
        sum(case when age_days < 90 then 1 else 0 end) as tickets_90d,
        sum(case when age_days < 365 then 1 else 0 end) as tickets_365d,
        sum(case when is_complaint and age_days < 90 then 1 else 0 end) as complaints_90d,
        sum(case when is_complaint and {{ in_window('age_days', 90, 180) }} then 1 else 0 end)
            as complaints_before_90d,
        sum(case when is_complaint and age_days < 365 then 1 else 0 end) as complaints_365d,
        sum(case when is_resolved then 0 else 1 end) as open_tickets,
        {{ mean_of(
            'sum(case when age_days < 365 then response_hours end)',
            'count(case when age_days < 365 then response_hours end)'
        ) }} as first_response_hours_365d,
        {{ mean_of(
            'sum(case when age_days < 365 then resolution_hours end)',
            'count(case when age_days < 365 then resolution_hours end)'
        ) }} as resolution_hours_365d
    from aged_tickets
    group by customer_id, as_of_date

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

aged_ratings as (

    select
        ratings.customer_id,
        as_of_dates.as_of_date,
        ratings.score,
        {{ days_between('ratings.rated_on', 'as_of_dates.as_of_date') }} as age_days
    from ratings
    inner join as_of_dates
        on ratings.rated_on <= as_of_dates.as_of_date

),

rating_features as (

    select
        customer_id,
        as_of_date,
        {{ ratio('sum(score)', 'count(*)') }} as satisfaction_365d,
        {{ ratio(
            'sum(case when age_days < 90 then score end)', 'count(case when age_days < 90 then score end)'
        ) }}
        - {{ ratio(
            'sum(case when age_days >= 90 then score end)', 'count(case when age_days >= 90 then score end)'
        ) }} as satisfaction_change
    from aged_ratings
    where age_days < 365
    group by customer_id, as_of_date

),

-- Without a ticket of anybody, "no complaints" would be a guess.
covered as (

    select as_of_date
    from aged_tickets
    group by as_of_date

),

customers as (

    select * from {{ ref('int_customer_as_of') }}

)

select
    customers.customer_id,
    customers.as_of_date,
    {%- for name in [
        'tickets_90d', 'tickets_365d', 'complaints_90d', 'complaints_before_90d', 'complaints_365d', 'open_tickets'
    ] %}
    case when covered.as_of_date is not null then cast(coalesce(ticket_features.{{ name }}, 0) as integer) end
        as {{ name }},
    {%- endfor %}
    case
        when covered.as_of_date is not null
            then cast(
                coalesce(ticket_features.complaints_90d - ticket_features.complaints_before_90d, 0) as integer
            )
    end as complaints_change_90d,
    cast(ticket_features.first_response_hours_365d as decimal(18, 2)) as first_response_hours_365d,
    cast(ticket_features.resolution_hours_365d as decimal(18, 2)) as resolution_hours_365d,
    rating_features.satisfaction_365d,
    cast(rating_features.satisfaction_change as decimal(18, 6)) as satisfaction_change
from customers
left join covered
    on customers.as_of_date = covered.as_of_date
left join ticket_features
    on
        customers.customer_id = ticket_features.customer_id
        and customers.as_of_date = ticket_features.as_of_date
left join rating_features
    on
        customers.customer_id = rating_features.customer_id
        and customers.as_of_date = rating_features.as_of_date
