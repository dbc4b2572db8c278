-- Churn features from tier history: moves of the nights before the as-of date. The night's own moves are not known
-- before it is computed, so they never count.
with customers as (

    select * from {{ ref('int_customer_as_of') }}

),

nights as (

    select * from {{ ref('int_nights') }}

),

changes as (

    select * from {{ ref('int_tier_changes') }}

),

first_nights as (

    select min(as_of_date) as first_night from nights

),

moves as (

    select
        customers.customer_id,
        customers.as_of_date,
        sum(case when changes.direction = 'down' then 1 else 0 end) as downgrades,
        sum(case when changes.direction = 'up' then 1 else 0 end) as upgrades
    from customers
    inner join changes
        on
            customers.customer_id = changes.customer_id
            and customers.as_of_date > changes.as_of_date
    where {{ days_between('changes.as_of_date', 'customers.as_of_date') }} <= 365
    group by customers.customer_id, customers.as_of_date

)

select
    customers.customer_id,
    customers.as_of_date,
    cast(coalesce(moves.downgrades, 0) as integer) as tier_downgrades_365d,
    cast(coalesce(moves.upgrades, 0) as integer) as tier_upgrades_365d
from customers
inner join first_nights
    on customers.as_of_date > first_nights.first_night
left join moves
    on
        customers.customer_id = moves.customer_id
        and customers.as_of_date = moves.as_of_date
