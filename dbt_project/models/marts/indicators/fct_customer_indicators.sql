-- The indicators as people read them. The rule stands in int_customer_indicators.
with indicators as (

    select * from {{ ref('int_customer_indicators') }}

)

select
    customer_id,
    as_of_date,
    annual_spend,
    annual_spend_status,
    cumulative_spend,
    average_order_value,
    order_frequency,
    recency_days,
    profit_contribution,
    profit_margin,
    tenure_years,
    is_repeat_buyer,
    cross_buy_rate,
    product_diversity,
    preferred_category,
    on_time_payment_rate,
    average_days_overdue,
    csat,
    nps,
    complaints,
    first_response_hours,
    resolution_hours,
    interaction_rate,
    industry_rank,
    industry_growth,
    size_growth,
    demand_match,
    assets,
    industry_fit,
    digital_demand,
    strategic_level,
    company_size,
    churn_rate,
    orders_12m,
    active_days_90d,
    orders_90d,
    products_held,
    lifetime_value
from indicators
