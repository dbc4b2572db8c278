-- Who a scheme is for: its population on each as-of date.
with indicators as (

    select * from {{ ref('int_customer_indicators') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

schemes as (

    select * from {{ source('rules', 'schemes') }}

)

select
    indicators.customer_id,
    schemes.scheme,
    indicators.as_of_date,
    schemes.kind,
    schemes.rules_version
from indicators
inner join as_of_dates
    on indicators.as_of_date = as_of_dates.as_of_date
inner join customers
    on indicators.customer_id = customers.customer_id
inner join schemes
    on as_of_dates.rules_version = schemes.rules_version
where
    schemes.population = 'all'
    or (schemes.population = 'buyers' and coalesce(indicators.order_frequency, 0) > 0)
    or (schemes.population = 'repeat_buyers' and coalesce(indicators.order_frequency, 0) > 1)
    or (schemes.population = 'prospects' and coalesce(indicators.order_frequency, 0) = 0)
    or (
        schemes.population = 'businesses'
        and customers.customer_kind = 'business'
        and coalesce(indicators.order_frequency, 0) > 0
    )
    or (
        schemes.population = 'consumers'
        and customers.customer_kind = 'consumer'
        and coalesce(indicators.order_frequency, 0) > 0
    )
