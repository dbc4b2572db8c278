-- Customer lifetime value of buyers, by two ways side by side: the simple formula (average purchase x purchases per
-- year x expected years) and, where there are enough repeat buyers, the expectation of BG/NBD and Gamma-Gamma for
-- the horizon.
with inputs as (

    select * from {{ ref('int_clv_inputs') }}

),

indicators as (

    select * from {{ ref('fct_customer_indicators') }}

),

expectations as (

    select * from {{ ref('int_clv_expectations') }}

),

joined as (

    select
        inputs.customer_id,
        inputs.as_of_date,
        inputs.clv_horizon_days,
        inputs.repeat_days,
        indicators.lifetime_value,
        expectations.alive_probability,
        expectations.expected_orders,
        expectations.expected_order_value
    from inputs
    inner join indicators
        on
            inputs.customer_id = indicators.customer_id
            and inputs.as_of_date = indicators.as_of_date
    left join expectations
        on
            inputs.customer_id = expectations.customer_id
            and inputs.as_of_date = expectations.as_of_date

)

select
    customer_id,
    as_of_date,
    lifetime_value as simple_clv,
    clv_horizon_days as horizon_days,
    cast(repeat_days as integer) as repeat_days,
    cast(round(alive_probability, 6) as decimal(18, 6)) as alive_probability,
    cast(round(expected_orders, 6) as decimal(18, 6)) as expected_orders,
    cast(round(expected_order_value, 2) as decimal(18, 2)) as expected_order_value,
    cast(round(expected_orders * expected_order_value, 2) as decimal(18, 2)) as expected_value
from joined
