-- Engagement over the last 12 months: participations in campaigns and events per login.
with interactions as (

    select * from {{ ref('int_interactions') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

)

select
    interactions.customer_id,
    as_of_dates.as_of_date,
    {{ ratio(
        "sum(case when interactions.is_participation and interactions.kind in ('campaign', 'event') then 1 else 0 end)",
        "sum(case when interactions.kind = 'login' then 1 else 0 end)"
    ) }} as interaction_rate
from interactions
inner join as_of_dates
    on
        cast(interactions.occurred_at as date) > as_of_dates.year_before
        and cast(interactions.occurred_at as date) <= as_of_dates.as_of_date
group by interactions.customer_id, as_of_dates.as_of_date
